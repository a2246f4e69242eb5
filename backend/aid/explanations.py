"""Explanations of withdrawals and reinstatements of aid, with amounts in yuan (HN334-4.1d, 4.2)."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.aid.filings import FilingLine, FilingState, FilingView, load_filing_lines, select_filings
from backend.aid.money import format_yuan
from backend.aid.tables import AidFiling
from backend.core.actor import Actor
from backend.core.bilingual import Bilingual, format_instant, term_words
from backend.core.clock import legal_day
from backend.core.errors import NotFound
from backend.standing.access import visible_students
from backend.standing.engine.trace import Rule, build_trace, decode_canonical
from backend.standing.explanations.citations import figures_of, references, references_of
from backend.standing.explanations.fact_lines import load_fact_lines
from backend.standing.explanations.model import (
    HELP,
    NOTHING_TO_DO,
    Explanation,
    FactLine,
    Reader,
    reader_for_role,
)
from backend.standing.explanations.phrases import AID_KINDS
from backend.standing.explanations.service import load_policy_history
from backend.standing.policy import StandingPolicy

STATE_TEXTS: Mapping[FilingState, Bilingual] = {
    FilingState.FILED: Bilingual(
        "学校已登记，还没有报送资助管理部门。",
        "The school has recorded it; it has not been sent to the aid office yet.",
    ),
    FilingState.EXPORTED: Bilingual(
        "已报送资助管理部门，等待受理。", "It has been sent to the aid office and awaits acceptance."
    ),
    FilingState.ACKNOWLEDGED: Bilingual("资助管理部门已经受理。", "The aid office has accepted it."),
}
WITHDRAWAL = Rule("aid.withdrawal", "HN334-4.1d", ("R12",), ("aid.withdrawal.kinds",))
REINSTATEMENT = Rule("aid.reinstatement", "HN334-4.2", (), ("aid.withdrawal.kinds",))


async def load_filing_explanation(session: AsyncSession, actor: Actor, filing_id: UUID) -> Explanation:
    """Explain a filing of a student whom the caller may see; raises `NotFound`."""
    visible = visible_students(actor, AidFiling.student_id.expression)
    row = (await session.execute(select_filings().where(AidFiling.id == filing_id, visible))).one_or_none()
    if row is None:
        raise NotFound
    filing = FilingView(*row)
    lines = (await load_filing_lines(session, [filing.filing]))[filing_id]
    law = (await load_policy_history(session, filing.filing.school_id)).on(legal_day(filing.filing.filed_at))
    facts = await load_fact_lines(session, filing.filing.student_id, [f"change:{filing.filing.change_id}"])
    return explain_filing(filing, lines, facts, law, reader_for_role(actor.role))


def explain_filing(
    filing: FilingView,
    lines: Sequence[FilingLine],
    facts: Iterable[FactLine],
    law: StandingPolicy,
    reader: Reader,
) -> Explanation:
    """Build the explanation: the amounts by month, including what was paid and is not affected."""
    row, term = filing.filing, term_words(filing.filing.term_code)
    withdrawn = row.kind == "withdrawal"
    basis = decode_canonical(
        build_trace(
            WITHDRAWAL if withdrawn else REINSTATEMENT, law, row.filed_at, [f"change:{row.change_id}"]
        )
    )
    total = format_yuan(row.fen)
    if withdrawn:
        title = Bilingual(f"撤回本学期未发放的资助（{term.zh}）", f"Unpaid aid is withdrawn ({term.en})")
        what = Bilingual(
            f"学籍异动后，学校申请撤回{term.zh}还没有发放的资助，共 {total} 元。已经发放的不受影响，不用退回。",
            f"After a change of standing the school requests the withdrawal of the unpaid aid of the {term.en}:"
            f" {total} yuan. Payments already made are not affected and need not be returned.",
        )
    else:
        title = Bilingual(f"恢复已撤回的资助（{term.zh}）", f"Withdrawn aid is reinstated ({term.en})")
        what = Bilingual(
            f"学籍已经恢复，此前撤回的资助全部恢复，共 {total} 元。",
            f"The standing has been restored, and all withdrawn aid is reinstated: {total} yuan.",
        )
    at = format_instant(row.filed_at)
    filed = Bilingual(
        f"登记时间：{at}。{STATE_TEXTS[filing.state].zh}", f"Filed at {at}. {STATE_TEXTS[filing.state].en}"
    )
    return Explanation(
        title=title,
        paragraphs=(what, *(_describe_line(line, withdrawn=withdrawn) for line in lines), filed),
        facts=tuple(facts),
        figures=figures_of(basis, law),
        next_steps=tuple(_list_next_steps(withdrawn=withdrawn, reader=reader)),
        references=(*references_of(basis), *(references(("HN334-4.2",)) if withdrawn else ())),
    )


def _describe_line(line: FilingLine, *, withdrawn: bool) -> Bilingual:
    kind, month = AID_KINDS[line.kind], f"{line.month:%Y-%m}"
    granted, paid, moved = format_yuan(line.granted), format_yuan(line.paid), format_yuan(line.fen)
    verb = Bilingual("撤回", "withdrawn") if withdrawn else Bilingual("恢复", "reinstated")
    return Bilingual(
        f"{month} {kind.zh}：应发 {granted} 元，已发 {paid} 元，{verb.zh} {moved} 元。",
        f"{month}, {kind.en}: granted {granted} yuan, paid {paid}, {verb.en} {moved}.",
    )


def _list_next_steps(*, withdrawn: bool, reader: Reader) -> Iterable[Bilingual]:
    if not withdrawn:
        yield NOTHING_TO_DO
    elif reader is Reader.STUDENT:
        yield Bilingual(
            "资助随学籍异动。如果您不同意那次异动，请对它申诉；申诉成立的，资助一并恢复。",
            "Aid depends on the standing. If you disagree with the change, you can appeal against it. If the appeal is"
            " upheld, the aid is reinstated.",
        )
        yield HELP
    elif reader is Reader.REGISTRAR:
        yield Bilingual(
            "请在报送文件中核对金额，经批准后报送资助管理部门。",
            "Check the amounts in the export file, have it approved, and send it to the aid office.",
        )
    elif reader is Reader.SUPERIOR:
        yield Bilingual(
            "资助管理部门受理后，请登记回执。",
            "Record the acknowledgement once the aid office has accepted it.",
        )
    else:
        yield Bilingual(
            "请当面向学生说明，并告知可以申诉。",
            "Explain it to the student in person, and mention the right to appeal.",
        )
