"""Submissions that could not be judged however often it was tried: shown to who launched, and sent round again.

A dead letter is no verdict. At the settlement its student is undetermined, never missed; a verdict that comes of a
retry afterwards still resolves that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit
from backend.core.actor import Actor
from backend.core.errors import Conflict, NotFound, NotPermitted
from backend.roll_call.oversight import access_roll_call, on_launching_side
from backend.roll_call.reason_texts import Explanation
from backend.roll_call.tables import RollCall, VerificationTask
from backend.roll_call.verification.queue import WORKER_LOST
from backend.roll_call.verification.service import JUDGING, READING, RECORDING

_WHY = {
    WORKER_LOST: (
        "核验期间工作进程多次中断。请查看工作进程的内存和日志，排除原因后重试。",
        "The worker was lost over it each time. Look at its memory and its log, then retry.",
    ),
    READING: (
        "读取核验所需资料时出错。请检查数据库、密钥文件和政策文件，排除原因后重试。",
        "What verification needs could not be read. Check the database, the key file and the policies, then retry.",
    ),
    JUDGING: (
        "判定时出错。请检查证据存储和人脸引擎，排除原因后重试。",
        "It could not be judged. Check the evidence store and the face engine, then retry.",
    ),
    RECORDING: (
        "保存核验结果时出错。请检查数据库，排除原因后重试。",
        "The verdict could not be stored. Check the database, then retry.",
    ),
}


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One of them, with the roll call that it was sent for."""

    task: VerificationTask
    roll_call: RollCall

    @property
    def why(self) -> Explanation:
        """In which part it failed last, and what to look at."""
        code = self.task.last_error or WORKER_LOST
        return Explanation(code, *_WHY[code])


def _launched_by(actor: Actor) -> ColumnElement[bool]:
    """Of `roll_call` rows: launched by the caller's own side."""
    return func.starts_with(RollCall.launcher_path + ".", actor.org_path + ".")


def _must_be_staff(actor: Actor) -> None:
    if actor.role == "counselor":
        raise _not_theirs()


def _not_theirs() -> NotPermitted:
    return NotPermitted(
        reason_zh="核验队列由发起单位或其上级查看和处理",
        reason_en="the queue of verification is the launcher's and its superiors'",
    )


async def launched_roll_call(
    session: AsyncSession, actor: Actor, roll_call_id: UUID, at: datetime
) -> RollCall:
    """The roll call, for its launching side; raises NotFound and NotPermitted."""
    roll_call = await access_roll_call(session, actor, roll_call_id, at)
    if not on_launching_side(roll_call, actor):
        raise _not_theirs()
    return roll_call


async def dead_letters_page(
    session: AsyncSession,
    actor: Actor,
    roll_call_id: UUID | None,
    after: tuple[datetime, UUID] | None,
    limit: int,
    at: datetime,
) -> Sequence[DeadLetter]:
    """Dead letters of roll calls that the caller's side launched, the newest first."""
    _must_be_staff(actor)
    found = (
        select(VerificationTask, RollCall)
        .join(RollCall, RollCall.id == VerificationTask.roll_call_id)
        .where(VerificationTask.state == "dead", _launched_by(actor))
        .order_by(VerificationTask.died_at.desc(), VerificationTask.submission_id.desc())
        .limit(limit)
    )
    if roll_call_id is not None:
        await launched_roll_call(session, actor, roll_call_id, at)
        found = found.where(VerificationTask.roll_call_id == roll_call_id)
    if after is not None:
        found = found.where(tuple_(VerificationTask.died_at, VerificationTask.submission_id) < after)
    return [DeadLetter(*row) for row in (await session.execute(found)).all()]


async def retry(session: AsyncSession, actor: Actor, submission_id: UUID, at: datetime) -> None:
    """Send one round again, with all its attempts before it. Raises Conflict for what is no dead letter (any more)."""
    task = await session.get(VerificationTask, submission_id)
    if task is None:
        raise NotFound
    roll_call = await launched_roll_call(session, actor, task.roll_call_id, at)
    if not await _revive(session, VerificationTask.submission_id == submission_id, at):
        raise Conflict(reason_zh="该提交已在核验队列中", reason_en="this submission is in the queue already")
    before = {"code": task.last_error}
    act = audit.Act("verification.retry", "submission", str(submission_id), roll_call.launcher_path, before)
    audit.record(session, act, at)


async def retry_all(session: AsyncSession, actor: Actor, roll_call_id: UUID, at: datetime) -> int:
    """Send every dead letter of a roll call round again; returns how many there were."""
    roll_call = await launched_roll_call(session, actor, roll_call_id, at)
    revived = await _revive(session, VerificationTask.roll_call_id == roll_call_id, at)
    if revived:
        after = {"submissions": revived}
        act = audit.Act(
            "verification.retry", "roll_call", str(roll_call_id), roll_call.launcher_path, after=after
        )
        audit.record(session, act, at)
    return revived


async def _revive(session: AsyncSession, which: ColumnElement[bool], at: datetime) -> int:
    revived = (
        update(VerificationTask)
        .where(VerificationTask.state == "dead", which)
        .values(state="waiting", attempts=0, not_before=at, died_at=None)
        .returning(VerificationTask.submission_id)
        .execution_options(synchronize_session=False)
    )
    return len((await session.scalars(revived)).all())
