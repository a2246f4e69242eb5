"""The queue of verification as its launcher sees it: how far it is, and what could not be judged."""

from datetime import datetime
from typing import Self
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field

from backend.core.pagination import Cursor, Limit, Page, encode_cursor, instant_position
from backend.core.web.problems import documented
from backend.roll_call.verification.dead_letters import (
    DeadLetter,
    dead_letters_page,
    launched_roll_call,
    retry,
    retry_all,
)
from backend.roll_call.verification.metrics import queue_metrics
from backend.staff_api.caller import StaffCaller

router = APIRouter(prefix="/v1", tags=["核验队列 · verification queue"])


class VerificationOut(BaseModel):
    """How much of a roll call is still to be judged, and until when."""

    waiting: int = Field(description="等待核验的提交 · submissions that wait", examples=[1200])
    leased: int = Field(description="正在核验的提交 · submissions that a worker is judging", examples=[32])
    dead: int = Field(
        description="多次尝试仍未能核验、等待处理的提交 · dead letters: given up until somebody retries them",
        examples=[0],
    )
    oldest_seconds: int | None = Field(
        description="等待最久者已等秒数 · how long the oldest one waits; null if none does", examples=[7]
    )
    judged_last_minute: int = Field(
        description="全部工作进程最近一分钟完成数 · judged by all workers in the last minute, of every roll call",
        examples=[2400],
    )
    seconds_left: int | None = Field(
        description=(
            "按近期速度估计全部核验完成所需秒数；近一分钟无工作进程完成核验时为空"
            " · until all are judged at the recent pace; null if no worker judged anything in the last minute"
        ),
        examples=[31],
    )
    all_judged_at: datetime | None = Field(
        description="估计全部完成的时间 · the same as an instant; null if unknown"
    )
    server_time: datetime


class DeadLetterOut(BaseModel):
    """A submission that could not be judged. Nobody is missed for it."""

    submission_id: UUID
    roll_call_id: UUID
    roll_call_title: str = Field(examples=["学籍核验"])
    school_id: UUID
    student_id: UUID
    code: str = Field(description="最后一次失败的环节 · where it failed last", examples=["judging_failed"])
    zh: str = Field(examples=["判定时出错。请检查证据存储和人脸引擎，排除原因后重试。"])
    en: str = Field(
        examples=["It could not be judged. Check the evidence store and the face engine, then retry."]
    )
    attempts: int = Field(examples=[5])
    enqueued_at: datetime
    died_at: datetime
    age_seconds: int = Field(
        description="自提交完整以来的秒数 · since its burst was complete", examples=[4210]
    )

    @classmethod
    def of(cls, letter: DeadLetter, at: datetime) -> Self:
        task, why = letter.task, letter.why
        assert task.died_at is not None
        return cls(
            submission_id=task.submission_id,
            roll_call_id=task.roll_call_id,
            roll_call_title=letter.roll_call.title,
            school_id=task.school_id,
            student_id=task.student_id,
            code=why.code,
            zh=why.zh,
            en=why.en,
            attempts=task.attempts,
            enqueued_at=task.enqueued_at,
            died_at=task.died_at,
            age_seconds=int((at - task.enqueued_at).total_seconds()),
        )


class RetriedOut(BaseModel):
    """How many went back into the queue."""

    retried: int = Field(examples=[3])


@router.get("/roll-calls/{roll_call_id}/verification", responses=documented(401, 403, 404, 422))
async def get_verification(caller: StaffCaller, roll_call_id: UUID) -> VerificationOut:
    """核验进度和预计完成时间（发起单位及其上级） · How far verification is and when all will be judged."""
    at = caller.at
    async with caller.transaction() as session:
        await launched_roll_call(session, caller.actor, roll_call_id, at)
        found = await queue_metrics(session, roll_call_id, at)
    return VerificationOut(
        waiting=found.waiting,
        leased=found.leased,
        dead=found.dead,
        oldest_seconds=None if found.oldest is None else int(found.oldest.total_seconds()),
        judged_last_minute=found.judged_last_minute,
        seconds_left=None if found.left is None else int(found.left.total_seconds()),
        all_judged_at=None if found.left is None else at + found.left,
        server_time=at,
    )


@router.get("/dead-letters", responses=documented(401, 403, 404, 422))
async def list_dead_letters(
    caller: StaffCaller, roll_call_id: UUID | None = None, limit: Limit = 50, cursor: Cursor = None
) -> Page[DeadLetterOut]:
    """未能核验的提交（新的在前） · Submissions that could not be judged, of roll calls launched on the caller's side."""
    at = caller.at
    async with caller.transaction() as session:
        rows = await dead_letters_page(
            session, caller.actor, roll_call_id, instant_position(cursor), limit + 1, at
        )
    shown = [DeadLetterOut.of(row, at) for row in rows[:limit]]
    last = shown[-1] if len(rows) > limit else None
    following = encode_cursor(last.died_at.isoformat(), str(last.submission_id)) if last else None
    return Page(items=shown, next_cursor=following)


@router.post(
    "/dead-letters/{submission_id}/retry", status_code=201, responses=documented(401, 403, 404, 409, 422)
)
async def post_retry(caller: StaffCaller, submission_id: UUID) -> RetriedOut:
    """重新核验一份提交 · Send one of them round again."""
    async with caller.transaction() as session:
        await retry(session, caller.actor, submission_id, caller.at)
    return RetriedOut(retried=1)


@router.post(
    "/roll-calls/{roll_call_id}/dead-letters/retry",
    status_code=201,
    responses=documented(401, 403, 404, 422),
)
async def post_retry_all(caller: StaffCaller, roll_call_id: UUID) -> RetriedOut:
    """重新核验一次点名的全部此类提交 · Send all of a roll call's round again."""
    async with caller.transaction() as session:
        return RetriedOut(retried=await retry_all(session, caller.actor, roll_call_id, caller.at))
