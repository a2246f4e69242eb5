"""`dianming face reembed`: make templates again for the engine that enrols now, from the enrolment shots still stored."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from backend.commands.context import province_scope, run_with_context
from backend.commands.output import exit_with_error, print_result
from backend.core.app_context import AppContext
from backend.core.errors import DomainError
from backend.identity.face.pool import face_pool
from backend.identity.face.reembedding import Reembedding, StoredShots, load_all_to_reembed, reembed
from backend.org.queries import get_unit_by_code
from backend.worker import open_face_pool
from biometrics.errors import BiometricsError

_MEANINGS = {
    Reembedding.DONE: "已改用当前引擎 · made by the engine that enrols now",
    Reembedding.REFUSED: "照片未能生成新模板，保留旧模板 · the shots make no new template; the old one stays",
    Reembedding.SHOTS_GONE: "照片已删除，须重新采集 · the shots were deleted; must enrol again",
    Reembedding.CHANGED: "其间模板已变更 · the template changed meanwhile",
}


def reembed_command(
    school: Annotated[
        str | None, typer.Option(help="学校标识码，默认全省 · ten-digit code of a school; default: all")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="只统计，不写入 · count only; nothing is written")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """更换引擎后，用仍保存的采集照片重新生成模板 · After a change of engine, make templates again from kept shots.

    One student at a time, each in a transaction of its own: a run that was killed continues where it stopped. Students
    whose shots were deleted are not listed here; `dianming face plan --students` names them.
    """

    async def run(app_context: AppContext) -> dict[str, Any]:
        with open_face_pool(app_context) as pool:
            app_context.services[face_pool] = pool
            return await _reembed_all(app_context, school, dry_run=dry_run)

    try:
        summary = run_with_context(run)
    except (DomainError, BiometricsError) as error:
        exit_with_error(error.code, f"{error.sentence('zh')} {error.sentence('en')}", as_json=as_json)
    print_result(summary, as_json=as_json, render=_render)


async def _reembed_all(app_context: AppContext, school: str | None, *, dry_run: bool) -> dict[str, Any]:
    scope = province_scope(app_context)
    work = await load_all_to_reembed(app_context, scope, await _school_id(app_context, school))
    outcomes: Counter[Reembedding] = Counter()
    refused: list[str] = []
    if not dry_run:
        with _progress(len(work)) as advance:
            for stored in work:
                outcome = await reembed(app_context, stored)
                outcomes[outcome] += 1
                refused += [str(stored.ref.student_id)] if outcome is Reembedding.REFUSED else []
                advance()
    return {
        "enrols": str(app_context.service(face_pool).enrolment_engine().key),
        "templates": len(work),
        "by_engine": _count_by_engine(work),
        "dry_run": dry_run,
        "outcomes": {each.value: outcomes[each] for each in Reembedding if outcomes[each]},
        "refused_students": refused,
    }


async def _school_id(app_context: AppContext, code: str | None) -> UUID | None:
    if code is None:
        return None
    async with app_context.database.transaction(province_scope(app_context)) as session:
        return (await get_unit_by_code(session, "school", code)).id


def _count_by_engine(work: list[StoredShots]) -> dict[str, int]:
    return dict(sorted(Counter(str(each.engine) for each in work).items()))


@contextmanager
def _progress(total: int) -> Iterator[Any]:
    """A progress bar on stderr, if that is a terminal. Yields a function that counts one student."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task("重新生成模板 · embedding again", total=total)
        yield lambda: bars.advance(task)


def _render(summary: dict[str, Any]) -> str:
    lines = [f"{summary['templates']} 个模板将改用 {summary['enrols']} · templates to make again"]
    lines += [f"  {engine}: {count}" for engine, count in summary["by_engine"].items()]
    if summary["dry_run"]:
        lines.append("未写入 · nothing was written (--dry-run)")
    lines += [f"  {count:>6}  {_MEANINGS[Reembedding(key)]}" for key, count in summary["outcomes"].items()]
    lines += [f"    {student}" for student in summary["refused_students"]]
    return "\n".join(lines)
