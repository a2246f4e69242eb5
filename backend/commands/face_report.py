"""`dianming face report SCHOOL`: what a school may expect of the face check."""

import asyncio
from typing import Annotated, Any
from uuid import UUID

import typer
from sqlalchemy import select

from backend.commands.output import exit_with_error, print_result
from backend.core.app_context import open_app_context
from backend.core.tenancy import Scope
from backend.identity.face.calibration.report import SchoolReport, load_school_report
from backend.identity.face.calibration.report_schemas import FaceReportOut
from backend.org.paths import build_unit_path
from backend.org.tables import OrgUnit
from backend.settings import get_settings


def report_command(
    school: Annotated[str, typer.Argument(help="学校代码或编号 · code or id of the school")],
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """学校的人脸报告：人数、预计通过与存疑的比例、人工核对量、缺什么 · What a school may expect of the face check."""
    report = asyncio.run(_load(school))
    if report is None:
        exit_with_error("not_found", f"没有学校 {school} · no school {school}", as_json=as_json)
    print_result(FaceReportOut.of(report).model_dump(mode="json"), as_json=as_json, render=render_report)


async def _load(school: str) -> SchoolReport | None:
    app_context = open_app_context(get_settings())
    try:
        province = build_unit_path("province", app_context.settings.province_code, None)
        named = OrgUnit.id == UUID(school) if _is_uuid(school) else OrgUnit.code == school
        async with app_context.database.transaction(Scope.wide(province)) as session:
            school_id = await session.scalar(select(OrgUnit.id).where(named, OrgUnit.kind == "school"))
        if school_id is None:
            return None
        return await load_school_report(app_context, school_id, app_context.clock())
    finally:
        await app_context.close()


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def render_report(payload: dict[str, Any]) -> str:
    """The report as text."""
    lines = []
    if payload["demonstration"]:
        lines.append("演示参数，不代表任何误认率 · figures of a demonstration: they claim no rate")
    version = "–" if payload["version"] is None else payload["version"]
    lines.append(
        f"已采集 {payload['enrolled']} 人，联调确认 {payload['probed']} 人 · {payload['enrolled']} enrolled,"
        f" {payload['probed']} confirmed; engine {payload['engine'] or '–'}, thresholds version {version}"
    )
    lines += [f"缺 · missing: {each['zh']} {each['en']}" for each in payload["missing"]]
    for group in payload["groups"]:
        people = "–" if group["deployment_people"] is None else group["deployment_people"]
        head = f"  {group['group']}: {group['enrolled']} enrolled, {group['probed']} confirmed, {people} in all schools"
        lines.append(f"{head}; {_render_shares(group['shares'])}")
    lines.append(f"全校 · school: {_render_shares(payload['shares'])}")
    looks = payload["looks"]
    if looks is not None:
        lines.append(
            f"每次全员点名预计人工核对 · looks by people per roll call: {looks['value']:.1f}"
            f" ({looks['low']:.1f}–{looks['high']:.1f})"
        )
    return "\n".join(lines)


def _render_shares(shares: dict[str, Any] | None) -> str:
    if shares is None:
        return "人工核对 · people decide"
    parts = [
        f"{zh} {name} {100 * shares[name]['value']:.1f} % ({100 * shares[name]['low']:.1f}–{100 * shares[name]['high']:.1f})"
        for zh, name in (("通过", "accepted"), ("存疑", "doubtful"), ("不符", "refused"))
    ]
    return f"{', '.join(parts)}, {shares['people']} people"
