"""What every export of a roll call has: its limit, its audit entry, and the notes about it in the file."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit
from backend.core.actor import Actor
from backend.core.bilingual import format_instant
from backend.identity.tables import Account
from backend.org.queries import schools_below
from backend.org.tables import OrgUnit
from backend.roll_call.exports.errors import ExportTooLarge
from backend.roll_call.tables import RollCall, RollCallSchool

MAX_ROWS = 200_000
"""Rows of one file. The list of a province is exported by city: a person can neither read nor send it as one file."""

BATCH_ROWS = 1000

_NOTICE = (
    "含个人信息，请妥善保管，用毕删除。本次导出已留痕。 Personal data: keep it safe and delete it after use. This export is on"
    " record."
)

ListName = Literal["results", "missing"]


@dataclass(frozen=True, slots=True)
class School:
    """The code and the name of a school."""

    code: str
    name: str


async def load_schools(session: AsyncSession, roll_call: RollCall) -> dict[UUID, School]:
    """The schools of a roll call that the caller may see."""
    rows = await session.execute(
        select(OrgUnit.id, OrgUnit.code, OrgUnit.name)
        .join(RollCallSchool, RollCallSchool.school_id == OrgUnit.id)
        .where(RollCallSchool.roll_call_id == roll_call.id)
    )
    return {identifier: School(code, name) for identifier, code, name in rows}


async def require_exportable(session: AsyncSession, roll_call: RollCall, path: str) -> None:
    """Refuse the results of a unit whose audience has too many students; raises `ExportTooLarge`."""
    audience = RollCallSchool.owed + RollCallSchool.excused + RollCallSchool.exempt
    students = await session.scalar(
        select(func.sum(audience)).where(
            RollCallSchool.roll_call_id == roll_call.id, RollCallSchool.school_id.in_(schools_below(path))
        )
    )
    require_rows(students or 0)


def require_rows(rows: int) -> None:
    """Raise `ExportTooLarge` for more rows than one file may have."""
    if rows > MAX_ROWS:
        raise ExportTooLarge(limit=MAX_ROWS)


def record_export(
    session: AsyncSession, actor: Actor, roll_call: RollCall, name: ListName, rows: int, at: datetime
) -> None:
    """Record who took how many rows with names out of the system."""
    act = audit.Act(
        f"roll_call.{name}_exported",
        "roll_call",
        str(roll_call.id),
        actor.org_path,
        after={"rows": rows},
    )
    audit.record(session, act, at)


async def describe_export(
    session: AsyncSession, actor: Actor, roll_call: RollCall, rows: int, at: datetime
) -> Sequence[tuple[str, str]]:
    """The notes of the file: the roll call, and who exported it when."""
    account = await session.scalar(select(Account.display_name).where(Account.id == actor.account_id))
    launcher = await session.scalar(select(OrgUnit.name).where(OrgUnit.id == roll_call.launcher_id))
    return (
        ("点名 Roll call", roll_call.title),
        ("编号 ID", str(roll_call.id)),
        ("发起单位 Launched by", launcher or ""),
        ("时段 Window", f"{format_instant(roll_call.opens_at)} – {format_instant(roll_call.deadline)}"),
        ("导出时间 Exported at", format_instant(at)),
        ("导出人 Exported by", account or str(actor.account_id)),
        ("行数 Rows", str(rows)),
        (
            "提示 Notice",
            _NOTICE,
        ),
    )
