"""Withdrawals of aid, and what undoes them, in plain words with amounts in yuan (HN334-4.1d, 4.2)."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.aid.tables import AidFiling
from backend.aid.withdrawals import Filing, FilingLine, FilingState, filings, lines_of
from backend.core.actor import Actor
from backend.core.clock import legal_day
from backend.core.errors import NotFound
from backend.standing.access import visible_students
from backend.standing.engine.trace import Rule, document, trace
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
from backend.standing.explanations.phrases import AID_KINDS, Bilingual, instant, term_words
from backend.standing.explanations.service import load_policy_history
from backend.standing.policy import StandingPolicy

FEN = 100

STATES: Mapping[FilingState, Bilingual] = {
    FilingState.FILED: Bilingual(
        "学校已登记，还没有报送资助管理部门。", "It is on file and not yet sent to the aid office."
    ),
    FilingState.EXPORTED: Bilingual("已报送资助管理部门，等待受理。", "It was sent to the aid office."),
    FilingState.ACKNOWLEDGED: Bilingual("资助管理部门已经受理。", "The aid office has taken it up."),
}
WITHDRAWAL = Rule("aid.withdrawal", "HN334-4.1d", ("R12",), ("aid.withdrawal.kinds",))
REINSTATEMENT = Rule("aid.reinstatement", "HN334-4.2", (), ("aid.withdrawal.kinds",))


def yuan(fen: int) -> str:
    """Whole fen as yuan with two decimals."""
    return f"{fen // FEN}.{fen % FEN:02d}"


async def load_filing_explanation(session: AsyncSession, actor: Actor, filing_id: UUID) -> Explanation:
    """A filing of a student whom the caller may see; else `NotFound`, whatever the cause."""
    own = visible_students(actor, AidFiling.student_id.expression)
    row = (await session.execute(filings().where(AidFiling.id == filing_id, own))).one_or_none()
    if row is None:
        raise NotFound
    filing = Filing(*row)
    lines = (await lines_of(session, [filing.filing]))[filing_id]
    law = (await load_policy_history(session, filing.filing.school_id)).on(legal_day(filing.filing.filed_at))
    facts = await load_fact_lines(session, filing.filing.student_id, [f"change:{filing.filing.change_id}"])
    return explain_aid(filing, lines, facts, law, reader_for_role(actor.role))


def explain_aid(
    filing: Filing,
    lines: Sequence[FilingLine],
    facts: Iterable[FactLine],
    law: StandingPolicy,
    reader: Reader,
) -> Explanation:
    """What is withdrawn or comes back, month by month; what was paid is listed and stays."""
    row, term = filing.filing, term_words(filing.filing.term_code)
    withdrawn = row.kind == "withdrawal"
    rested_on = document(
        trace(WITHDRAWAL if withdrawn else REINSTATEMENT, law, row.filed_at, [f"change:{row.change_id}"])
    )
    total = yuan(row.fen)
    if withdrawn:
        title = Bilingual(f"撤回本学期未发放的资助（{term.zh}）", f"Unpaid aid is withdrawn ({term.en})")
        what = Bilingual(
            f"学籍变动后，学校申请撤回{term.zh}还没有发放的资助，共 {total} 元。已经发放的不受影响，不用退回。",
            f"After a change of standing the school files the withdrawal of the aid of the {term.en} that is not paid yet:"
            f" {total} yuan. What was paid is not touched and need not be returned.",
        )
    else:
        title = Bilingual(f"恢复已撤回的资助（{term.zh}）", f"Withdrawn aid is restored ({term.en})")
        what = Bilingual(
            f"学籍已经恢复，此前撤回的资助全部恢复，共 {total} 元。",
            f"The standing is restored, and so is all the aid that was withdrawn: {total} yuan.",
        )
    at = instant(row.filed_at)
    filed = Bilingual(
        f"登记时间：{at}。{STATES[filing.state].zh}", f"Filed at {at}. {STATES[filing.state].en}"
    )
    return Explanation(
        title=title,
        paragraphs=(what, *(_line(line, withdrawn=withdrawn) for line in lines), filed),
        facts=tuple(facts),
        figures=figures_of(rested_on, law),
        next_steps=tuple(_next(withdrawn=withdrawn, reader=reader)),
        references=(*references_of(rested_on), *(references(("HN334-4.2",)) if withdrawn else ())),
    )


def _line(line: FilingLine, *, withdrawn: bool) -> Bilingual:
    kind, month = AID_KINDS[line.kind], f"{line.month:%Y-%m}"
    granted, paid, moved = yuan(line.granted), yuan(line.paid), yuan(line.fen)
    verb = Bilingual("撤回", "withdrawn") if withdrawn else Bilingual("恢复", "restored")
    return Bilingual(
        f"{month} {kind.zh}：应发 {granted} 元，已发 {paid} 元，{verb.zh} {moved} 元。",
        f"{month}, {kind.en}: granted {granted} yuan, paid {paid}, {verb.en} {moved}.",
    )


def _next(*, withdrawn: bool, reader: Reader) -> Iterable[Bilingual]:
    if not withdrawn:
        yield NOTHING_TO_DO
    elif reader is Reader.STUDENT:
        yield Bilingual(
            "资助随学籍变动。如果您不同意那次变动，请对它申诉；申诉成立的，资助一并恢复。",
            "Aid follows the standing. If you disagree with the change, appeal against it; if that is upheld, the aid comes"
            " back with it.",
        )
        yield HELP
    elif reader is Reader.REGISTRAR:
        yield Bilingual(
            "请在报送文件中核对金额，经批准后报送资助管理部门。",
            "Check the amounts in the file for the aid office, have it approved, and send it.",
        )
    elif reader is Reader.SUPERIOR:
        yield Bilingual(
            "资助管理部门受理后，请登记回执。", "Record the receipt once the aid office has taken it up."
        )
    else:
        yield Bilingual(
            "请当面向学生说明，并告知可以申诉。", "Explain it to the student, also that an appeal is open."
        )
