"""What staff do around a window: urge until it closes, void with reasons (HN334-3.4)."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit, outbox
from backend.core.acting import Acting
from backend.core.errors import Conflict, NotFound, NotPermitted
from backend.core.ids import new_id
from backend.org.paths import is_below
from backend.org.tables import OrgUnit
from backend.people.tables import ClassCounselor
from backend.roll_call.errors import UrgedRecently, UrgingClosed
from backend.roll_call.law import law_of
from backend.roll_call.outcomes import Decided, effective, write_outcome
from backend.roll_call.rules import Outcome, Timing, timing
from backend.roll_call.tables import Obligation, OutcomeEntry, RollCall, RollCallStep, Urge


async def access_roll_call(
    session: AsyncSession, acting: Acting, roll_call_id: UUID, at: datetime
) -> RollCall:
    """The roll call as staff may see it: launched by them or below them, or addressed to them and announced."""
    roll_call = await session.get(RollCall, roll_call_id)
    if roll_call is None:
        raise NotFound
    secret = roll_call.notify_at > at and not is_below(roll_call.launcher_path, acting.org_path)
    if secret:
        raise NotFound
    return roll_call


def overseen_classes(acting: Acting) -> Select[UUID] | None:
    """The classes a counselor looks after now; None where every visible class is overseen."""
    if acting.kind != "counselor":
        return None
    return select(ClassCounselor.class_id).where(
        ClassCounselor.counselor_id == acting.counselor_id, ClassCounselor.until.is_(None)
    )


def still_waiting(roll_call_id: UUID) -> ColumnElement[bool]:
    """Of `obligation` rows: owed and not yet found present."""
    present = exists().where(
        OutcomeEntry.roll_call_id == Obligation.roll_call_id,
        OutcomeEntry.student_id == Obligation.student_id,
        OutcomeEntry.outcome == Outcome.PRESENT.value,
    )
    return and_(Obligation.roll_call_id == roll_call_id, Obligation.duty == "owed", ~present)


@dataclass(frozen=True, slots=True)
class Urged:
    """How many students were reminded."""

    students: int


async def urge(
    session: AsyncSession, acting: Acting, roll_call_id: UUID, class_id: UUID | None, at: datetime
) -> Urged:
    """Remind everyone of the caller's students who has not proven presence; refused once the window is closed."""
    roll_call = await access_roll_call(session, acting, roll_call_id, at)
    law = law_of(roll_call)
    if acting.kind not in law.texts("roll_call.urging.accounts") or acting.school_id is None:
        raise NotPermitted(
            reason_zh="仅学校管理员和辅导员可以督促", reason_en="only registrars and counselors urge students"
        )
    voided = await session.get(RollCallStep, (roll_call_id, "voided"))
    if voided is not None or timing(at, roll_call.opens_at, roll_call.closes_at) is not Timing.IN_TIME:
        raise UrgingClosed
    lock = func.pg_advisory_xact_lock(func.hashtextextended(f"urge/{roll_call_id}/{acting.school_id}", 0))
    await session.execute(select(lock))
    await _not_too_often(session, roll_call, acting.school_id, class_id, at)
    wanted = [still_waiting(roll_call_id), Obligation.school_id == acting.school_id]
    classes = overseen_classes(acting)
    if classes is not None:
        wanted.append(Obligation.class_id.in_(classes))
    if class_id is not None:
        wanted.append(Obligation.class_id == class_id)
    students = await session.scalar(select(func.count()).select_from(Obligation).where(*wanted)) or 0
    row = Urge(
        id=new_id(),
        roll_call_id=roll_call_id,
        school_id=acting.school_id,
        class_id=class_id,
        urged_by=acting.account_id,
        students=students,
        at=at,
    )
    session.add(row)
    after = {"students": students, "class_id": str(class_id) if class_id else None}
    act = audit.Act("roll_call.urge", "roll_call", str(roll_call_id), acting.org_path, after=after)
    audit.record(session, act, at)
    payload = {
        "roll_call_id": str(roll_call_id),
        "school_id": str(acting.school_id),
        "urge_id": str(row.id),
        "class_id": str(class_id) if class_id else None,
        "counselor_id": str(acting.counselor_id) if acting.counselor_id else None,
    }
    await outbox.emit(session, "StudentsUrged", payload, at)
    return Urged(students)


async def _not_too_often(
    session: AsyncSession, roll_call: RollCall, school_id: UUID, class_id: UUID | None, at: datetime
) -> None:
    interval = law_of(roll_call).duration("notice.urge_interval")
    recent = await session.scalar(
        select(func.count()).where(
            Urge.roll_call_id == roll_call.id,
            Urge.school_id == school_id,
            Urge.at > at - interval,
            or_(Urge.class_id == class_id, Urge.class_id.is_(None)),
        )
    )
    if recent:
        raise UrgedRecently(minutes=int(interval.total_seconds() // 60))


async def void_roll_call(
    session: AsyncSession, acting: Acting, roll_call_id: UUID, reason: str, at: datetime
) -> RollCall:
    """Take a roll call back, with the reason. Those found present stay so; every other result becomes excused.

    Only the launching authority, or one above it, voids; a school its own.
    """
    roll_call = await access_roll_call(session, acting, roll_call_id, at)
    launcher = await session.get_one(OrgUnit, roll_call.launcher_id)
    if acting.kind == "counselor" or not is_below(launcher.path, acting.org_path):
        raise NotPermitted(
            reason_zh="只有发起单位或其上级可以作废",
            reason_en="only the launcher or its superior voids a roll call",
        )
    written = await session.scalar(
        insert(RollCallStep)
        .values(
            roll_call_id=roll_call_id,
            step="voided",
            acting_account=acting.account_id,
            reason=reason,
            figures=None,
            at=at,
        )
        .on_conflict_do_nothing()
        .returning(RollCallStep.step)
    )
    if written is None:
        raise Conflict(reason_zh="此次核验已经作废", reason_en="this roll call is voided already")
    await _excuse_all(session, roll_call, reason, at)
    act = audit.Act(
        "roll_call.void", "roll_call", str(roll_call_id), roll_call.launcher_path, after={"reason": reason}
    )
    audit.record(session, act, at)
    payload = {"roll_call_id": str(roll_call_id), "path": roll_call.launcher_path}
    await outbox.emit(session, "RollCallVoided", payload, at)
    return roll_call


async def _excuse_all(session: AsyncSession, roll_call: RollCall, reason: str, at: datetime) -> None:
    """Compensating entries for results that the voiding takes back, and first entries where there was none."""
    in_effect = effective().where(OutcomeEntry.roll_call_id == roll_call.id).subquery()
    rows = await session.execute(
        select(Obligation, in_effect.c.seq)
        .outerjoin(in_effect, in_effect.c.student_id == Obligation.student_id)
        .where(
            Obligation.roll_call_id == roll_call.id,
            Obligation.duty != "exempt",
            func.coalesce(in_effect.c.outcome, "").not_in([Outcome.PRESENT.value, Outcome.EXCUSED.value]),
        )
    )
    decided = Decided(Outcome.EXCUSED, "voided", "voiding", {"reason": reason})
    for obligation, seq in rows.all():
        earlier = (
            await session.get_one(OutcomeEntry, (roll_call.id, obligation.student_id, seq)) if seq else None
        )
        await write_outcome(session, roll_call, obligation, decided, at, replaces=earlier)
