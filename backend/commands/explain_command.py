"""`dianming explain CASE`: a prompt, a change, a withdrawal of aid, an appeal or a warning in plain words."""

import asyncio
from typing import Annotated, Any
from uuid import UUID

import typer

from backend.appeal.explanations import EXPLAINERS, explained
from backend.commands.output import answer, refuse
from backend.core import audit
from backend.core.actor import Actor
from backend.core.app_context import AppContext, open_app_context
from backend.core.errors import DomainError, NotFound
from backend.core.ids import new_id
from backend.core.tenancy import Scope
from backend.org.paths import path_of
from backend.org.queries import unit_by_code
from backend.settings import get_settings
from backend.standing.explanations.schemas import ExplanationOut


def command(
    case: Annotated[
        str,
        typer.Argument(
            metavar="CASE", help="提示、变动、撤回资助、申诉或提醒的编号 · id of what is to be explained"
        ),
    ],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """说明一件事的由来、依据和下一步 · Why it is so, by which rule and on which facts, and what comes next.

    The look is audited: an explanation holds personal facts.
    """
    try:
        case_id = UUID(case)
    except ValueError:
        message = f"编号应为 UUID：{case}。请从列表中复制编号 · An id is a UUID: {case}. Copy it from a list."
        refuse("bad_id", message, as_json=as_json)
    try:
        found = asyncio.run(_explain(case_id))
    except DomainError as refusal:
        refuse(refusal.code, f"{refusal.sentence('zh')} {refusal.sentence('en')}", as_json=as_json)
    answer(found, as_json=as_json, render=_rendered)


async def _explain(case_id: UUID) -> dict[str, Any]:
    app_context = open_app_context(get_settings())
    try:
        return await explain_case(app_context, case_id)
    finally:
        await app_context.close()


async def explain_case(app_context: AppContext, case_id: UUID) -> dict[str, Any]:
    """Whatever the id names, explained to an operator of the province; the look is audited. Raises `NotFound`."""
    code = app_context.settings.province_code
    path = path_of("province", code, None)
    async with app_context.database.transaction(Scope.wide(path)) as session:
        province = await unit_by_code(session, "province", code)
        operator = Actor(new_id(), "province", province.id, path)
        for kind in EXPLAINERS:
            try:
                told = await explained(session, operator, kind, case_id)
            except NotFound:
                continue
            act = audit.Act("explanation.read", kind, str(case_id), path, after={"by": "command line"})
            audit.record(session, act, app_context.clock())
            body = ExplanationOut.of(told).model_dump(mode="json")
            return {"kind": kind, "id": str(case_id), **body}
    raise NotFound


def _rendered(told: dict[str, Any]) -> str:
    """All of it in Chinese, then all of it in English."""
    return "\n\n".join(_page(told, language) for language in ("zh", "en"))


HEADINGS = {
    "facts": {"zh": "事实", "en": "Facts"},
    "figures": {"zh": "所用数字", "en": "Figures"},
    "references": {"zh": "依据", "en": "Rules"},
    "next_steps": {"zh": "接下来", "en": "What comes next"},
}


def _page(told: dict[str, Any], language: str) -> str:
    lines = [told["title"][language], ""]
    lines += [words[language] for words in told["paragraphs"]]
    facts = [fact["words"][language] for fact in told["facts"]]
    figures = [_figure(figure, language) for figure in told["figures"]]
    rules = [
        f"{rule['instrument'][language]} {rule['article']}（{rule['clause']}）：{rule['title'][language]}"
        for rule in told["references"]
    ]
    steps = [words[language] for words in told["next_steps"]]
    for name, items in (("facts", facts), ("figures", figures), ("references", rules), ("next_steps", steps)):
        if items:
            lines += ["", HEADINGS[name][language], *(f"  · {item}" for item in items)]
    return "\n".join(lines)


def _figure(figure: dict[str, Any], language: str) -> str:
    since = {"zh": f"自 {figure['since']} 起", "en": f"since {figure['since']}"}[language]
    where = f"{figure['instrument'][language]} {figure['article']}"
    return f"{figure['name'][language]}：{figure['value'][language]}（{since}；{where}）"
