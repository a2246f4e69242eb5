"""Tells staff that looks wait for them: once for each person and roll call, and once more before one expires.

The school's side is the registrars and the counselor of the class, the launching side the staff of the launching unit.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID, uuid5

from sqlalchemy import ColumnElement, Select, and_, exists, func, literal, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.identity.recipients import AUTHORITY_ROLES, select_staff
from backend.identity.tables import Account
from backend.notice.messages import IN_APP, Message, NoticeText
from backend.notice.service import post_notices
from backend.people.tables import ClassCounselor
from backend.roll_call.events import LooksRequested
from backend.roll_call.looks import texts
from backend.roll_call.looks.queries import is_open
from backend.roll_call.looks.rules import Side
from backend.roll_call.tables import LookNotice, LookRequest, RollCall, RollCallStep


async def notify_looks_requested(session: AsyncSession, event: LooksRequested, at: datetime) -> int:
    """Tell those who may answer the requests of the event, unless they were told. Returns their number."""
    roll_call = await session.get_one(RollCall, event.roll_call_id)
    if await session.get(RollCallStep, (event.roll_call_id, "voided")) is not None:
        return 0
    if event.class_id is None:
        addressed = _is_launching_staff(roll_call)
    else:
        addressed = _is_school_staff(select(literal(event.school_id)), select(literal(event.class_id)))
    text = texts.look_waiting_to_staff(roll_call.title, event.until)
    return await tell_once(session, roll_call, "waiting", addressed, text, at)


async def load_roll_calls_with_expiring_looks(
    session: AsyncSession, at: datetime, until: datetime
) -> Sequence[UUID]:
    """The roll calls with an open request that expires by `until`."""
    expiring = select(LookRequest.roll_call_id).where(is_open(at), LookRequest.expires_at <= until)
    return (await session.scalars(expiring.distinct().order_by(LookRequest.roll_call_id))).all()


async def remind_before_expiry(
    session: AsyncSession, roll_call_id: UUID, at: datetime, until: datetime
) -> int:
    """Remind those who may answer the requests of a roll call that expire by `until`, each once. Returns their number."""
    roll_call = await session.get_one(RollCall, roll_call_id)
    expiring = (
        LookRequest.term_code == roll_call.term_code,
        LookRequest.roll_call_id == roll_call_id,
        LookRequest.expires_at <= until,
        is_open(at),
    )
    first = await session.scalar(select(func.min(LookRequest.expires_at)).where(*expiring))
    if first is None:
        return 0
    of_school = (*expiring, LookRequest.side == Side.SCHOOL.value)
    of_launcher = (*expiring, LookRequest.side == Side.LAUNCHER.value)
    addressed = or_(
        _is_school_staff(
            select(LookRequest.school_id).where(*of_school), select(LookRequest.class_id).where(*of_school)
        ),
        and_(_is_launching_staff(roll_call), exists(select(LookRequest.id).where(*of_launcher))),
    )
    text = texts.look_expiring_to_staff(roll_call.title, first)
    return await tell_once(session, roll_call, "expiring", addressed, text, at)


def _is_school_staff(schools: Select[UUID], classes: Select[UUID]) -> ColumnElement[bool]:
    """Condition on `Account`: the registrars of the schools, and the counselors of the classes."""
    responsible = select(ClassCounselor.counselor_id).where(
        ClassCounselor.class_id.in_(classes), ClassCounselor.until.is_(None)
    )
    return or_(
        and_(Account.kind == "registrar", Account.school_id.in_(schools)),
        and_(Account.kind == "counselor", Account.counselor_id.in_(responsible)),
    )


def _is_launching_staff(roll_call: RollCall) -> ColumnElement[bool]:
    """Condition on `Account`: the staff who administer the launching unit. Its superiors may answer but are not told."""
    return and_(Account.org_id == roll_call.launcher_id, Account.kind.in_((*AUTHORITY_ROLES, "registrar")))


async def tell_once(
    session: AsyncSession,
    roll_call: RollCall,
    kind: str,
    addressed: ColumnElement[bool],
    text: NoticeText,
    at: datetime,
) -> int:
    """Post a notice to the accounts that meet the condition on `Account`, unless they had it. Returns their number."""
    staff = select_staff(addressed).subquery()
    rows = select(
        literal(roll_call.id), literal(kind), staff.c.account_id, staff.c.org_path, literal(at)
    ).order_by(staff.c.account_id)
    names = ["roll_call_id", "kind", "account_id", "org_path", "at"]
    statement = insert(LookNotice).from_select(names, rows).on_conflict_do_nothing()
    told = (await session.scalars(statement.returning(LookNotice.account_id))).all()
    if not told:
        return 0
    message_kind = f"look_{kind}"
    message = Message.of(
        message_kind, uuid5(roll_call.id, message_kind), text, {"roll_call_id": roll_call.id}
    )
    return await post_notices(session, select_staff(Account.id.in_(told)), message, IN_APP, at)
