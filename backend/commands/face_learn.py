"""`dianming face learn`: learn the thresholds of every engine now, from the confirmed rehearsals of all schools."""

import asyncio
from typing import Annotated, Any

import typer

from backend.commands.output import exit_with_error, print_result
from backend.core.app_context import open_app_context
from backend.identity.face.calibration.learning import LearningResult, learn_all_thresholds
from backend.settings import get_settings


def learn_command(
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """用已确认的联调测试确定人脸阈值 · Learn face thresholds from confirmed rehearsals, as the nightly job does.

    Stricter thresholds take effect at once. Others are proposed, until a province administrator approves them.
    """
    results = asyncio.run(_learn())
    if not results:
        exit_with_error(
            "no_rehearsal_confirmed",
            "没有已确认的联调测试。请先组织联调测试并由辅导员确认 · No rehearsal is confirmed; run one and let the counselors"
            " confirm it",
            as_json=as_json,
        )
    payload = {"engines": [_describe(each) for each in results]}
    print_result(payload, as_json=as_json, render=_render)
    if all(each.version is None for each in results):
        raise typer.Exit(1)


async def _learn() -> list[LearningResult]:
    app_context = open_app_context(get_settings())
    try:
        return await learn_all_thresholds(app_context, only_after_growth=False)
    finally:
        await app_context.close()


def _describe(result: LearningResult) -> dict[str, Any]:
    engine = {"engine": str(result.engine), "people": result.people}
    if result.version is None:
        error = result.error
        reason = None if error is None else {"zh": error.sentence("zh"), "en": error.sentence("en")}
        return engine | {"version": None, "error": reason}
    version = result.version
    return engine | {
        "id": str(version.id),
        "version": version.version,
        "state": "in_force" if version.effect == "at_once" else "proposed",
        "reason": version.reason,
        "accept_from": round(version.accept_from, 6),
        "reject_below": round(version.reject_below, 6),
        "minimum": version.minimum,
        "demonstration": version.demonstration,
        "groups": version.groups,
    }


def _render(payload: dict[str, Any]) -> str:
    lines = []
    for each in payload["engines"]:
        if each["version"] is None:
            lines.append(f"{each['engine']}: {each['error']['zh']} {each['error']['en']}")
            continue
        lines.append(
            f"{each['engine']} version {each['version']} ({each['state']}, {each['reason']}):"
            f" accept from {each['accept_from']}, reject below {each['reject_below']}"
        )
        if each["demonstration"]:
            lines.append("  演示参数，不得用于正式环境 · figures of a demonstration: they claim no rate")
        for group in each["groups"]:
            bound = "–" if group["bound"] is None else f"{group['bound']:.4f}"
            lines.append(f"  {group['group']}: {group['people']} people, {group['pairs']} pairs, {bound}")
    return "\n".join(lines)
