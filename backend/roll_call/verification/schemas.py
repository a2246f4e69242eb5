"""Schemas of the verification queue in the staff API."""

from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import BaseModel, Field

from backend.roll_call.verification.dead_letters import DeadLetter
from backend.roll_call.verification.metrics import QueueMetrics


class VerificationOut(BaseModel):
    """The verification progress of a roll call and the estimated time left."""

    waiting: int = Field(description="等待核验的提交 · waiting submissions", examples=[1200])
    leased: int = Field(description="正在核验的提交 · submissions that a worker is verifying", examples=[32])
    dead: int = Field(
        description="多次尝试仍未能核验、等待处理的提交 · dead letters: given up until they are retried",
        examples=[0],
    )
    oldest_seconds: int | None = Field(
        description="等待最久者已等秒数 · age of the oldest one in seconds; null if there is none",
        examples=[7],
    )
    judged_last_minute: int = Field(
        description="全部工作进程最近一分钟完成数 · verified by all workers in the last minute, for all roll calls",
        examples=[2400],
    )
    seconds_left: int | None = Field(
        description=(
            "按近期速度估计全部核验完成所需秒数；近一分钟无工作进程完成核验时为空"
            " · until all are verified at the recent rate; null if no worker verified anything in the last minute"
        ),
        examples=[31],
    )
    all_judged_at: datetime | None = Field(
        description="估计全部完成的时间 · the same as a time; null if unknown"
    )
    server_time: datetime

    @classmethod
    def of(cls, metrics: QueueMetrics, at: datetime) -> Self:
        """Build the response for the metrics of a roll call."""
        return cls(
            waiting=metrics.waiting,
            leased=metrics.leased,
            dead=metrics.dead,
            oldest_seconds=None if metrics.oldest is None else int(metrics.oldest.total_seconds()),
            judged_last_minute=metrics.judged_last_minute,
            seconds_left=None if metrics.time_left is None else int(metrics.time_left.total_seconds()),
            all_judged_at=None if metrics.time_left is None else at + metrics.time_left,
            server_time=at,
        )


class DeadLetterOut(BaseModel):
    """A submission that could not be verified. Its student is not missed for it."""

    submission_id: UUID
    roll_call_id: UUID
    roll_call_title: str = Field(examples=["学籍核验"])
    school_id: UUID
    school_name: str | None = Field(default=None, examples=["郑州市第一职业学校"])
    student_id: UUID
    student_name: str | None = Field(default=None, examples=["李明"])
    code: str = Field(
        description="最后一次失败的环节 · the step that failed last", examples=["judging_failed"]
    )
    zh: str = Field(examples=["判定时出错。请检查证据存储和人脸引擎，排除原因后重试。"])
    en: str = Field(
        examples=["It could not be judged. Check the evidence store and the face engine, then retry."]
    )
    attempts: int = Field(examples=[5])
    enqueued_at: datetime
    died_at: datetime
    age_seconds: int = Field(
        description="自提交完整以来的秒数 · seconds since its burst was complete", examples=[4210]
    )

    @classmethod
    def of(cls, letter: DeadLetter, at: datetime) -> Self:
        """Build the response for a dead letter."""
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
    """How many submissions were put back into the queue."""

    retried: int = Field(examples=[3])
