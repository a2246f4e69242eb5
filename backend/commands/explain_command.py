"""`dianming explain CASE`: explain a prompt, a change, a withdrawal of aid, an appeal or a warning in plain words."""

from typing import Annotated, Any
from uuid import UUID

import typer

from backend.appeal.explanations import EXPLAINERS, load_explanation
from backend.commands.context import province_operator, province_scope, run_with_context
from backend.commands.output import exit_with_error, print_result
from backend.core import audit
from backend.core.app_context import AppContext
from backend.core.errors import DomainError, NotFound
from backend.standing.explanations.schemas import ExplanationOut


def command(
    case: Annotated[
        str,
        typer.Argument(metavar="CASE", help="提示、异动、撤回资助、申诉或提醒的编号 · id of the case"),
    ],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """说明一件事的由来、依据和下一步 · How a case came about, by which rules and facts, and what comes next.

    The audit log records the access, since an explanation contains personal data.
    """
    try:
        case_id = UUID(case)
    except ValueError:
        message = f"编号应为 UUID：{case}。请从列表中复制编号 · An id is a UUID: {case}. Copy it from a list."
        exit_with_error("bad_id", message, as_json=as_json)
    try:
        explanation = run_with_context(lambda app_context: explain_case(app_context, case_id))
    except DomainError as refusal:
        exit_with_error(refusal.code, f"{refusal.sentence('zh')} {refusal.sentence('en')}", as_json=as_json)
    print_result(explanation, as_json=as_json, render=_render)


async def explain_case(app_context: AppContext, case_id: UUID) -> dict[str, Any]:
    """Explain the case with this id, of any kind, to an operator of the province. Audited. Raises `NotFound`."""
    async with app_context.database.transaction(province_scope(app_context)) as session:
        operator = await province_operator(app_context, session)
        for kind in EXPLAINERS:
            try:
                explanation = await load_explanation(session, operator, kind, case_id)
            except NotFound:
                continue
            act = audit.Act(
                "explanation.read", kind, str(case_id), operator.org_path, after={"by": "command line"}
            )
            audit.record(session, act, app_context.clock())
            body = ExplanationOut.of(explanation).model_dump(mode="json")
            return {"kind": kind, "id": str(case_id), **body}
    raise NotFound


def _render(explanation: dict[str, Any]) -> str:
    """The whole page in Chinese, then in English."""
    return "\n\n".join(_render_page(explanation, language) for language in ("zh", "en"))


HEADINGS = {
    "facts": {"zh": "事实", "en": "Facts"},
    "figures": {"zh": "所用数字", "en": "Figures"},
    "references": {"zh": "依据", "en": "Rules"},
    "next_steps": {"zh": "接下来", "en": "What comes next"},
}


def _render_page(explanation: dict[str, Any], language: str) -> str:
    lines = [explanation["title"][language], ""]
    lines += [words[language] for words in explanation["paragraphs"]]
    facts = [fact["words"][language] for fact in explanation["facts"]]
    figures = [_render_figure(figure, language) for figure in explanation["figures"]]
    rules = [
        f"{rule['instrument'][language]} {rule['article']}（{rule['clause']}）：{rule['title'][language]}"
        for rule in explanation["references"]
    ]
    steps = [words[language] for words in explanation["next_steps"]]
    for name, items in (("facts", facts), ("figures", figures), ("references", rules), ("next_steps", steps)):
        if items:
            lines += ["", HEADINGS[name][language], *(f"  · {item}" for item in items)]
    return "\n".join(lines)


def _render_figure(figure: dict[str, Any], language: str) -> str:
    since = {"zh": f"自 {figure['since']} 起", "en": f"since {figure['since']}"}[language]
    where = f"{figure['instrument'][language]} {figure['article']}"
    return f"{figure['name'][language]}：{figure['value'][language]}（{since}；{where}）"
