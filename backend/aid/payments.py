"""Recording what was paid out (MOE15-1.2): every line that is accepted is kept, and none is netted off."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.aid.errors import AidPaymentsUnfit, Objection
from backend.aid.ledger_service import hold_up_to_date, post_accounts
from backend.aid.policy import AidPolicy
from backend.aid.rules import AidKind
from backend.aid.tables import AidAward, AidInstalment, AidPayment, AidPosting
from backend.core import audit
from backend.core.actor import Actor
from backend.core.clock import legal_day
from backend.core.errors import NotPermitted
from backend.core.keys import KeyRing
from backend.people.tables import Student
from backend.standing.engine.ids import derived_id

AT_A_TIME = 500
"""Students whose turns are taken together; the books of so many are read in a few statements."""


@dataclass(frozen=True, slots=True)
class PaymentLine:
    """One payment: to whom, for which month (its first day), how much, and when.

    `line` counts from nought; `place` is where a person finds it.
    """

    line: int
    place: str
    student_id: UUID
    kind: AidKind
    month: date
    fen: int
    paid_on: date
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class BeyondDue:
    """What a payment paid beyond what was due, in fen: a person must look."""

    payment_id: UUID
    student_id: UUID
    fen: int


@dataclass(frozen=True, slots=True)
class PaymentsRecorded:
    """What became of the lines: recorded now, or known from before; and what was paid beyond its due."""

    recorded: tuple[UUID, ...]
    known: int
    beyond_due: tuple[BeyondDue, ...]


def must_record_payments(actor: Actor, at: datetime) -> None:
    """Raises `NotPermitted` for whom the law of the day does not name."""
    if actor.role not in AidPolicy.at(legal_day(at), actor.org_path).recorders:
        raise NotPermitted(
            reason_zh="资助发放由规定的账号登记",
            reason_en="payments are recorded by those whom the law names",
        )


async def record_payments(
    session: AsyncSession,
    actor: Actor,
    lines: Sequence[PaymentLine],
    at: datetime,
    source: bytes | None = None,
) -> PaymentsRecorded:
    """Record payments, all of them or none; a line that is known from before changes nothing.

    A payment is known by student, kind, month, amount, day and reference: who really paid twice on one day says so
    by different references. `source` is the SHA-256 of the file they came from. Raises `NotPermitted` and
    `AidPaymentsUnfit`, which names every line that cannot be recorded.
    """
    must_record_payments(actor, at)
    awards = await _awards(session, lines)
    objections = _objections(lines, awards, legal_day(at))
    if objections:
        raise AidPaymentsUnfit.of(objections)
    ids = {_identity(line, awards[_key(line)]): line for line in lines}
    known = set(await session.scalars(select(AidPayment.id).where(AidPayment.id.in_(ids))))
    by_student: dict[UUID, list[UUID]] = defaultdict(list)
    for payment_id, line in ids.items():
        if payment_id not in known:
            by_student[line.student_id].append(payment_id)
    students = sorted(by_student)
    recorded: list[UUID] = []
    for start in range(0, len(students), AT_A_TIME):
        held = await hold_up_to_date(session, students[start : start + AT_A_TIME], at)
        rows = [
            _row(payment_id, ids[payment_id], awards, actor, source)
            | {"school_id": each.subject.school_id, "at": each.at}
            for student_id, each in held.items()
            for payment_id in by_student[student_id]
        ]
        put = insert(AidPayment).on_conflict_do_nothing()  # somebody may have recorded it while we waited
        recorded += await session.scalars(put.returning(AidPayment.id), rows)
        await post_accounts(session, list(held.values()))
    facts: dict[str, int | str] = {"recorded": len(recorded), "known": len(ids) - len(recorded)}
    facts |= {"file_sha256": source.hex()} if source else {}
    act = audit.Act("aid.payments_recorded", "org_unit", str(actor.org_id), actor.org_path, after=facts)
    audit.record(session, act, at)
    return PaymentsRecorded(tuple(recorded), len(ids) - len(recorded), await _beyond_due(session, recorded))


Key = tuple[UUID, str, date]


def _key(line: PaymentLine) -> Key:
    return line.student_id, line.kind.value, line.month


async def _awards(session: AsyncSession, lines: Sequence[PaymentLine]) -> dict[Key, UUID]:
    """The award that pays each line's student this kind of aid in this month; of two terms the later one."""
    found = await session.execute(
        select(AidAward.student_id, AidAward.kind, AidInstalment.month, AidAward.id)
        .join(AidInstalment, AidInstalment.award_id == AidAward.id)
        .where(AidAward.student_id.in_({line.student_id for line in lines}))
        .order_by(AidAward.term_starts_on)
    )
    return {(student_id, kind, month): award_id for student_id, kind, month, award_id in found}


def _objections(lines: Sequence[PaymentLine], awards: dict[Key, UUID], today: date) -> tuple[Objection, ...]:
    first: dict[tuple[object, ...], PaymentLine] = {}
    found: list[Objection] = []
    for line in lines:
        if _key(line) not in awards:
            found.append(_not_awarded(line, awards))
        if line.paid_on > today:
            found.append(
                Objection(
                    line.line,
                    "paid_on",
                    line.paid_on.isoformat(),
                    "aid_paid_in_future",
                    "发放日期晚于今天，请核对。",
                    "The day of payment lies in the future; check it.",
                )
            )
        content = (*_key(line), line.fen, line.paid_on, line.reference)
        before = first.setdefault(content, line)
        if before is not line:
            found.append(
                Objection(
                    line.line,
                    "reference",
                    line.reference or "",
                    "aid_payment_repeated",
                    f"与 {before.place} 完全相同，请只保留一行；确属两笔的，请填写不同的凭证号。",
                    f"The same as {before.place}; keep one, or give two real payments different references.",
                )
            )
    return tuple(found)


def _not_awarded(line: PaymentLine, awards: dict[Key, UUID]) -> Objection:
    months = [
        month.strftime("%Y-%m")
        for student_id, kind, month in sorted(awards)
        if (student_id, kind) == (line.student_id, line.kind.value)
    ]
    listed = "、".join(months)
    zh = (
        f"该生此项资助应发月份为：{listed}。请核对月份。"
        if months
        else "该生没有此项资助的批准记录，请核对。"
    )
    en = (
        f"This aid is paid in {', '.join(months)}; check the month."
        if months
        else "The student has no approved aid of this kind; check the line."
    )
    return Objection(line.line, "month", line.month.strftime("%Y-%m"), "aid_not_awarded", zh, en)


def _identity(line: PaymentLine, award_id: UUID) -> UUID:
    """The same content is the same payment, whoever records it and however often."""
    content = (str(award_id), line.month, line.fen, line.paid_on, line.reference or "")
    return UUID(derived_id("aid_payment", content))


def _row(
    payment_id: UUID, line: PaymentLine, awards: dict[Key, UUID], actor: Actor, source: bytes | None
) -> dict[str, object]:
    return {
        "id": payment_id,
        "student_id": line.student_id,
        "award_id": awards[_key(line)],
        "month": line.month,
        "fen": line.fen,
        "paid_on": line.paid_on,
        "reference": line.reference,
        "source_sha256": source,
        "recorded_by": actor.account_id,
    }


async def _beyond_due(session: AsyncSession, payment_ids: Collection[UUID]) -> tuple[BeyondDue, ...]:
    """Of these payments, what found nothing due to pay."""
    causes = {f"payment:{payment_id}": payment_id for payment_id in payment_ids}
    settled: dict[UUID, int] = defaultdict(int)
    for cause, fen in await session.execute(
        select(AidPosting.cause, AidPosting.fen).where(AidPosting.cause.in_(causes))
    ):
        settled[causes[cause]] += fen
    paid = await session.execute(
        select(AidPayment.id, AidPayment.student_id, AidPayment.fen)
        .where(AidPayment.id.in_(payment_ids))
        .order_by(AidPayment.id)
    )
    return tuple(
        BeyondDue(payment_id, student_id, fen - settled[payment_id])
        for payment_id, student_id, fen in paid
        if fen > settled[payment_id]
    )


async def students_by_number(
    session: AsyncSession, keys: KeyRing, numbers: Collection[str]
) -> dict[str, list[UUID]]:
    """The students whom the scope admits, by student number; two schools may hold the same one."""
    indices = {number: keys.blind_index(number) for number in numbers}
    found: dict[bytes | None, list[UUID]] = defaultdict(list)
    rows = await session.execute(
        select(Student.student_number_index, Student.id).where(
            Student.student_number_index.in_(indices.values())
        )
    )
    for index, student_id in rows:
        found[index].append(student_id)
    return {number: found[index] for number, index in indices.items()}
