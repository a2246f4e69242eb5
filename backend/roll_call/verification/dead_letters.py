"""Dead letters: submissions that could not be verified after all attempts. The launcher lists and retries them.

A dead letter is not a verdict. At the settlement its student is undetermined, never missed; a verdict after a later
retry still resolves that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, exists, func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit
from backend.core.actor import Actor
from backend.core.errors import Conflict, NotFound, NotPermitted
from backend.roll_call.access import access_roll_call, acts_for_launcher
from backend.roll_call.reason_texts import Explanation
from backend.roll_call.tables import RollCall, Submission, VerificationTask
from backend.roll_call.verification.queue import (
    JUDGING_FAILED,
    READING_FAILED,
    RECORDING_FAILED,
    WORKER_LOST,
)

_CAUSES = {
    WORKER_LOST: (
        "核验期间工作进程多次中断。请查看工作进程的内存和日志，排除原因后重试。",
        "The worker process died at each attempt. Check its memory and its log, then retry.",
    ),
    READING_FAILED: (
        "读取核验所需资料时出错。请检查数据库、密钥文件和政策文件，排除原因后重试。",
        "The data for verification could not be read. Check the database, the key file and the policies, then retry.",
    ),
    JUDGING_FAILED: (
        "判定时出错。请检查证据存储和人脸引擎，排除原因后重试。",
        "It could not be judged. Check the evidence store and the face engine, then retry.",
    ),
    RECORDING_FAILED: (
        "保存核验结果时出错。请检查数据库，排除原因后重试。",
        "The verdict could not be stored. Check the database, then retry.",
    ),
}


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead task with its roll call."""

    task: VerificationTask
    roll_call: RollCall

    @property
    def why(self) -> Explanation:
        """The step that failed last, and what to check."""
        code = self.task.last_error or WORKER_LOST
        return Explanation(code, *_CAUSES[code])


def _launched_by(actor: Actor) -> ColumnElement[bool]:
    """Condition on `roll_call` rows: launched by the caller's unit or a unit below it."""
    return func.starts_with(RollCall.launcher_path + ".", actor.org_path + ".")


def _launcher_only() -> NotPermitted:
    return NotPermitted(
        reason_zh="核验队列由发起单位或其上级查看和处理",
        reason_en="only the launcher and its superiors manage the verification queue",
    )


async def access_launched_roll_call(
    session: AsyncSession, actor: Actor, roll_call_id: UUID, at: datetime
) -> RollCall:
    """Return the roll call to its launching side; raises NotFound or NotPermitted."""
    roll_call = await access_roll_call(session, actor, roll_call_id, at)
    if not acts_for_launcher(roll_call, actor):
        raise _launcher_only()
    return roll_call


async def load_dead_letters(
    session: AsyncSession,
    actor: Actor,
    roll_call_id: UUID | None,
    after: tuple[datetime, UUID] | None,
    limit: int,
    at: datetime,
) -> Sequence[DeadLetter]:
    """Load dead letters of roll calls that the caller's side launched, newest first."""
    if actor.role == "counselor":
        raise _launcher_only()
    query = (
        select(VerificationTask, RollCall)
        .join(RollCall, RollCall.id == VerificationTask.roll_call_id)
        .where(VerificationTask.state == "dead", _launched_by(actor))
        .order_by(VerificationTask.died_at.desc(), VerificationTask.submission_id.desc())
        .limit(limit)
    )
    if roll_call_id is not None:
        await access_launched_roll_call(session, actor, roll_call_id, at)
        query = query.where(VerificationTask.roll_call_id == roll_call_id)
    if after is not None:
        query = query.where(tuple_(VerificationTask.died_at, VerificationTask.submission_id) < after)
    return [DeadLetter(*row) for row in (await session.execute(query)).all()]


async def retry_dead_letter(session: AsyncSession, actor: Actor, submission_id: UUID, at: datetime) -> None:
    """Put one dead letter back into the queue with a fresh number of attempts. Raises Conflict if it is not dead."""
    task = await session.get(VerificationTask, submission_id)
    if task is None:
        raise NotFound
    roll_call = await access_launched_roll_call(session, actor, task.roll_call_id, at)
    submission = await session.get(Submission, submission_id)
    if submission is None or submission.envelope_deleted_at is not None:
        raise Conflict(
            reason_zh="该提交的内容已到期删除，不能再核验",
            reason_en="what was submitted was deleted after its period and cannot be verified any more",
        )
    if not await _requeue(session, VerificationTask.submission_id == submission_id, at):
        raise Conflict(reason_zh="该提交已在核验队列中", reason_en="this submission is already in the queue")
    before = {"code": task.last_error}
    act = audit.Act("verification.retry", "submission", str(submission_id), roll_call.launcher_path, before)
    audit.record(session, act, at)


async def retry_all_dead_letters(
    session: AsyncSession, actor: Actor, roll_call_id: UUID, at: datetime
) -> int:
    """Put all dead letters of a roll call back into the queue. Returns how many there were."""
    roll_call = await access_launched_roll_call(session, actor, roll_call_id, at)
    requeued = await _requeue(session, VerificationTask.roll_call_id == roll_call_id, at)
    if requeued:
        after = {"submissions": requeued}
        act = audit.Act(
            "verification.retry", "roll_call", str(roll_call_id), roll_call.launcher_path, after=after
        )
        audit.record(session, act, at)
    return requeued


async def _requeue(session: AsyncSession, which: ColumnElement[bool], at: datetime) -> int:
    emptied = exists().where(
        Submission.id == VerificationTask.submission_id, Submission.envelope_deleted_at.is_not(None)
    )
    requeued = (
        update(VerificationTask)
        .where(VerificationTask.state == "dead", which, ~emptied)
        .values(state="waiting", attempts=0, not_before=at, died_at=None)
        .returning(VerificationTask.submission_id)
        .execution_options(synchronize_session=False)
    )
    return len((await session.scalars(requeued)).all())
