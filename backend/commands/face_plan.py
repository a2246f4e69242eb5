"""`dianming face plan`: the effect of an engine change on enrolled students. Read-only."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from backend.commands.output import exit_with_error, print_result
from backend.core.app_context import open_app_context
from backend.core.tenancy import Scope
from backend.identity.face.engine_migration import (
    SchoolTemplates,
    count_templates_by_engine,
    load_students_without_engine,
)
from backend.org.paths import build_unit_path
from backend.settings import Settings, get_settings
from biometrics.engines.base import EngineInfo, EngineKey
from biometrics.engines.registry import load_face_engines
from biometrics.errors import BiometricsError

CURRENT, JUDGED, UNJUDGED = "current", "judged", "unjudged"
_MEANINGS = {
    CURRENT: "当前引擎 · made by the engine that enrols",
    JUDGED: "仍可核验，重新采集后改用当前引擎 · still verifiable; moves to the current engine at the next enrolment",
    UNJUDGED: "无法核验，须重新采集 · cannot be verified: must enrol again",
}


@dataclass(frozen=True, slots=True)
class EnrolledTemplates:
    """The enrolled templates in the database."""

    schools: list[SchoolTemplates]
    students_without_engine: list[UUID]


def plan_command(
    engine: Annotated[
        Path | None,
        typer.Option(
            "--engine", help="拟启用引擎的描述文件，缺省为现设置 · YAML of an engine that is not enabled yet"
        ),
    ] = None,
    students: Annotated[bool, typer.Option(help="列出须重新采集的学生 · list who must enrol again")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """更换人脸引擎的影响：只读报告 · Who can be verified with the enabled engines, and who must enrol again."""
    settings = get_settings()
    try:
        own = engine or settings.face_engine
        enabled = load_face_engines(test_engine=settings.test_engine, own=own).infos()
    except BiometricsError as error:
        exit_with_error(error.code, f"{error.sentence('zh')} {error.sentence('en')}", as_json=as_json)
    templates = asyncio.run(_load_templates(settings, [info.key for info in enabled]))
    print_result(_plan(enabled, templates, with_students=students), as_json=as_json, render=_render_plan)


async def _load_templates(settings: Settings, enabled: list[EngineKey]) -> EnrolledTemplates:
    app_context = open_app_context(settings)
    province = Scope.wide(build_unit_path("province", settings.province_code, None))
    try:
        async with app_context.database.transaction(province) as session:
            return EnrolledTemplates(
                await count_templates_by_engine(session), await load_students_without_engine(session, enabled)
            )
    finally:
        await app_context.close()


def _plan(
    enabled: tuple[EngineInfo, ...], templates: EnrolledTemplates, *, with_students: bool
) -> dict[str, Any]:
    current = next(info.key for info in enabled if not info.test_only)
    states = {info.key: JUDGED for info in enabled} | {current: CURRENT}
    rows = [
        {
            "school_id": str(each.school_id),
            "school": each.school,
            "engine": str(each.engine),
            "state": states.get(each.engine, UNJUDGED),
            "templates": each.templates,
            "shots_kept": each.shots_kept,
        }
        for each in templates.schools
    ]
    totals = Counter(dict.fromkeys(_MEANINGS, 0))
    for each in templates.schools:
        totals[states.get(each.engine, UNJUDGED)] += each.templates
    plan = {
        "enrols": str(current),
        "enabled": [str(info.key) for info in enabled],
        "totals": dict(totals),
        "schools": rows,
    }
    if with_students:
        plan["enrol_again"] = [str(student) for student in templates.students_without_engine]
    return plan


def _render_plan(plan: dict[str, Any]) -> str:
    lines = [f"{plan['enrols']}  ({', '.join(plan['enabled'])})"]
    lines += [f"{plan['totals'][state]:>8}  {state:<9} {meaning}" for state, meaning in _MEANINGS.items()]
    lines += [
        f"{row['templates']:>8}  {row['state']:<9} {row['engine']}  {row['school']}"
        f"（采集照片仍在 · shots kept: {row['shots_kept']}）"
        for row in plan["schools"]
    ]
    return "\n".join([*lines, *plan.get("enrol_again", [])])
