"""`dianming face plan`: what the enabled face engines, or another one, mean for the people enrolled. Changes nothing."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from backend.commands.output import answer, refuse
from backend.core.app_context import open_app_context
from backend.core.tenancy import Scope
from backend.identity.face.engine_migration import (
    SchoolTemplates,
    students_without_judge,
    templates_by_engine,
)
from backend.org.paths import path_of
from backend.settings import Settings, get_settings
from biometrics.engines.base import EngineInfo, EngineKey
from biometrics.engines.registry import face_engines
from biometrics.errors import BiometricsError

CURRENT, JUDGED, UNJUDGED = "current", "judged", "unjudged"
_MEANINGS = {
    CURRENT: "当前引擎 · made by the engine that enrols",
    JUDGED: "仍可核验，重新采集后改用当前引擎 · still judged; moves to the current engine when enrolled again",
    UNJUDGED: "无法核验，须重新采集 · cannot be judged: enrol again",
}


@dataclass(frozen=True, slots=True)
class Found:
    """What the database holds."""

    schools: list[SchoolTemplates]
    unjudged: list[UUID]


def plan_command(
    engine: Annotated[
        Path | None,
        typer.Option(
            "--engine", help="拟启用引擎的描述文件，缺省为现设置 · YAML of an engine not yet enabled"
        ),
    ] = None,
    students: Annotated[bool, typer.Option(help="列出须重新采集的学生 · list who must enrol again")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """更换人脸引擎的影响：只读报告 · Who can be judged by the engines enabled here, and who must enrol again."""
    settings = get_settings()
    try:
        own = engine or settings.face_engine
        enabled = face_engines(test_engine=settings.test_engine, own=own).infos()
    except BiometricsError as error:
        refuse(error.code, f"{error.sentence('zh')} {error.sentence('en')}", as_json=as_json)
    found = asyncio.run(_found(settings, [info.key for info in enabled]))
    answer(_plan(enabled, found, with_students=students), as_json=as_json, render=_rendered)


async def _found(settings: Settings, enabled: list[EngineKey]) -> Found:
    app_context = open_app_context(settings)
    province = Scope.wide(path_of("province", settings.province_code, None))
    try:
        async with app_context.database.transaction(province) as session:
            return Found(await templates_by_engine(session), await students_without_judge(session, enabled))
    finally:
        await app_context.close()


def _plan(enabled: tuple[EngineInfo, ...], found: Found, *, with_students: bool) -> dict[str, Any]:
    enrolling = next(info.key for info in enabled if not info.test_only)
    states = {info.key: JUDGED for info in enabled} | {enrolling: CURRENT}
    rows = [
        {
            "school_id": str(each.school_id),
            "school": each.school,
            "engine": str(each.engine),
            "state": states.get(each.engine, UNJUDGED),
            "templates": each.templates,
            "shots_kept": each.shots_kept,
        }
        for each in found.schools
    ]
    totals = Counter(dict.fromkeys(_MEANINGS, 0))
    for each in found.schools:
        totals[states.get(each.engine, UNJUDGED)] += each.templates
    plan = {
        "enrols": str(enrolling),
        "enabled": [str(info.key) for info in enabled],
        "totals": dict(totals),
        "schools": rows,
    }
    return plan | ({"enrol_again": [str(student) for student in found.unjudged]} if with_students else {})


def _rendered(plan: dict[str, Any]) -> str:
    lines = [f"{plan['enrols']}  ({', '.join(plan['enabled'])})"]
    lines += [f"{plan['totals'][state]:>8}  {state:<9} {meaning}" for state, meaning in _MEANINGS.items()]
    lines += [
        f"{row['templates']:>8}  {row['state']:<9} {row['engine']}  {row['school']}"
        f"（采集照片仍在 · shots kept: {row['shots_kept']}）"
        for row in plan["schools"]
    ]
    return "\n".join([*lines, *plan.get("enrol_again", [])])
