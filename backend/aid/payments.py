"""Records payments of aid (MOE15-1.2). Every accepted line is stored; overpayments are reported, never netted."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.aid.errors import AidPaymentsUnfit, PaymentIssue
from backend.aid.ledger_service import lock_and_update_students, post_entries
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

MAX_PAYMENT_FEN = 100_000_000
"""A payment of more than a million yuan to one student is a typing error."""
MAX_REFERENCE_LENGTH = 60

BATCH_SIZE = 500
"""Students that are locked and loaded together."""


@dataclass(frozen=True, slots=True)
class PaymentLine:
    """One payment. `month` is the first day of the month, `line` counts from 0, `place` is the position in the input."""

    line: int
    place: str
    student_id: UUID
    kind: AidKind
    month: date
    fen: int
    paid_on: date
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class StudentOverpayment:
    """The part of a payment that exceeds the amount due, in fen. Staff must examine it."""

    payment_id: UUID
    student_id: UUID
    fen: int


@dataclass(frozen=True, slots=True)
class PaymentResult:
    """The ids of the new payments, the number of known ones, and the overpayments among the new ones."""

    recorded: tuple[UUID, ...]
    known: int
    overpayments: tuple[StudentOverpayment, ...]


def require_payment_recorder(actor: Actor, at: datetime) -> None:
    """Require a role that the law of the day allows to record payments; raises `NotPermitted`."""
    if actor.role not in AidPolicy.at(legal_day(at), actor.org_path).recorders:
        raise NotPermitted(
            reason_zh="资助发放由规定的账号登记",
            reason_en="only the accounts named by law record payments",
        )


async def record_payments(
    session: AsyncSession,
    actor: Actor,
    lines: Sequence[PaymentLine],
    at: datetime,
    source: bytes | None = None,
) -> PaymentResult:
    """Record payments, all of them or none. Idempotent: a known payment changes nothing.

    A payment is identified by student, kind, month, amount, day and reference; two real payments on one day need
    different references. `source` is the SHA-256 of the file. Raises `NotPermitted` and `AidPaymentsUnfit`, which
    names every line that cannot be recorded.
    """
    require_payment_recorder(actor, at)
    awards = await _load_awards(session, lines)
    issues = _find_issues(lines, awards, legal_day(at))
    if issues:
        raise AidPaymentsUnfit.from_issues(issues)
    ids = {_payment_id(line, awards[_award_key(line)]): line for line in lines}
    known = set(await session.scalars(select(AidPayment.id).where(AidPayment.id.in_(ids))))
    by_student: dict[UUID, list[UUID]] = defaultdict(list)
    for payment_id, line in ids.items():
        if payment_id not in known:
            by_student[line.student_id].append(payment_id)
    students = sorted(by_student)
    recorded: list[UUID] = []
    for start in range(0, len(students), BATCH_SIZE):
        locked = await lock_and_update_students(session, students[start : start + BATCH_SIZE], at)
        rows = [
            _payment_row(payment_id, ids[payment_id], awards, actor, source)
            | {"school_id": student.subject.school_id, "at": student.at}
            for student_id, student in locked.items()
            for payment_id in by_student[student_id]
        ]
        # A concurrent transaction may have recorded the payment while this one waited for the lock.
        insertion = insert(AidPayment).on_conflict_do_nothing()
        recorded += await session.scalars(insertion.returning(AidPayment.id), rows)
        await post_entries(session, list(locked.values()))
    facts: dict[str, int | str] = {"recorded": len(recorded), "known": len(ids) - len(recorded)}
    facts |= {"file_sha256": source.hex()} if source else {}
    act = audit.Act("aid.payments_recorded", "org_unit", str(actor.org_id), actor.org_path, after=facts)
    audit.record(session, act, at)
    overpayments = await _load_overpayments(session, recorded)
    return PaymentResult(tuple(recorded), len(ids) - len(recorded), overpayments)


AwardKey = tuple[UUID, str, date]


def _award_key(line: PaymentLine) -> AwardKey:
    return line.student_id, line.kind.value, line.month


async def _load_awards(session: AsyncSession, lines: Sequence[PaymentLine]) -> dict[AwardKey, UUID]:
    """Load the award of each student, kind and month; if two terms share a month, the later term's."""
    rows = await session.execute(
        select(AidAward.student_id, AidAward.kind, AidInstalment.month, AidAward.id)
        .join(AidInstalment, AidInstalment.award_id == AidAward.id)
        .where(AidAward.student_id.in_({line.student_id for line in lines}))
        .order_by(AidAward.term_starts_on)
    )
    return {(student_id, kind, month): award_id for student_id, kind, month, award_id in rows}


def _find_issues(
    lines: Sequence[PaymentLine], awards: dict[AwardKey, UUID], today: date
) -> tuple[PaymentIssue, ...]:
    first_lines: dict[tuple[object, ...], PaymentLine] = {}
    issues: list[PaymentIssue] = []
    for line in lines:
        if _award_key(line) not in awards:
            issues.append(_build_not_awarded_issue(line, awards))
        if line.paid_on > today:
            issues.append(
                PaymentIssue(
                    line.line,
                    "paid_on",
                    line.paid_on.isoformat(),
                    "aid_paid_in_future",
                    "发放日期晚于今天，请核对。",
                    "The payment date is in the future; check it.",
                )
            )
        content = (*_award_key(line), line.fen, line.paid_on, line.reference)
        first = first_lines.setdefault(content, line)
        if first is not line:
            issues.append(
                PaymentIssue(
                    line.line,
                    "reference",
                    line.reference or "",
                    "aid_payment_repeated",
                    f"与 {first.place} 完全相同，请只保留一行；确属两笔的，请填写不同的凭证号。",
                    f"Identical to {first.place}. Keep one of them, or give two separate payments different references.",
                )
            )
    return tuple(issues)


def _build_not_awarded_issue(line: PaymentLine, awards: dict[AwardKey, UUID]) -> PaymentIssue:
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
        f"Aid of this kind is due in {', '.join(months)}; check the month."
        if months
        else "The student has no approved aid of this kind; check the entry."
    )
    return PaymentIssue(line.line, "month", line.month.strftime("%Y-%m"), "aid_not_awarded", zh, en)


def _payment_id(line: PaymentLine, award_id: UUID) -> UUID:
    """Derive the id from the content, so that recording the same payment twice stores it once."""
    content = (str(award_id), line.month, line.fen, line.paid_on, line.reference or "")
    return UUID(derived_id("aid_payment", content))


def _payment_row(
    payment_id: UUID, line: PaymentLine, awards: dict[AwardKey, UUID], actor: Actor, source: bytes | None
) -> dict[str, object]:
    return {
        "id": payment_id,
        "student_id": line.student_id,
        "award_id": awards[_award_key(line)],
        "month": line.month,
        "fen": line.fen,
        "paid_on": line.paid_on,
        "reference": line.reference,
        "source_sha256": source,
        "recorded_by": actor.account_id,
    }


async def _load_overpayments(
    session: AsyncSession, payment_ids: Collection[UUID]
) -> tuple[StudentOverpayment, ...]:
    """Return what these payments paid beyond the amounts due."""
    causes = {f"payment:{payment_id}": payment_id for payment_id in payment_ids}
    posted: dict[UUID, int] = defaultdict(int)
    for cause, fen in await session.execute(
        select(AidPosting.cause, AidPosting.fen).where(AidPosting.cause.in_(causes))
    ):
        posted[causes[cause]] += fen
    payments = await session.execute(
        select(AidPayment.id, AidPayment.student_id, AidPayment.fen)
        .where(AidPayment.id.in_(payment_ids))
        .order_by(AidPayment.id)
    )
    return tuple(
        StudentOverpayment(payment_id, student_id, fen - posted[payment_id])
        for payment_id, student_id, fen in payments
        if fen > posted[payment_id]
    )


async def find_students_by_number(
    session: AsyncSession, keys: KeyRing, numbers: Collection[str]
) -> dict[str, list[UUID]]:
    """Return the ids of students in the tenant scope by student number; two schools may have the same number."""
    indices = {number: keys.blind_index(number) for number in numbers}
    student_ids: dict[bytes | None, list[UUID]] = defaultdict(list)
    rows = await session.execute(
        select(Student.student_number_index, Student.id).where(
            Student.student_number_index.in_(indices.values())
        )
    )
    for index, student_id in rows:
        student_ids[index].append(student_id)
    return {number: student_ids[index] for number, index in indices.items()}
