"""Wire schemas of rehearsals and learned thresholds."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from backend.core.web.schema_types import LongText, OneOf, Schema
from backend.identity.face.calibration.probes import ProbeRow
from backend.identity.face.calibration.tables import RehearsalConfirmation
from backend.identity.face.calibration.versions import VersionRow
from biometrics.matching.decision import Method


class RehearsalCheckInOut(BaseModel):
    """A check-in whose face can be learned from once the counselor confirms it."""

    student_id: UUID
    student_name: str = Field(examples=["张三"])
    at: datetime


class RehearsalConfirmationOut(BaseModel):
    """What the counselor of a class confirmed."""

    class_id: UUID
    class_name: str | None = Field(default=None, examples=["2024级1班"])
    confirmed: int = Field(description="确认在场的学生数 · students confirmed as present")
    excluded: int
    at: datetime

    @classmethod
    def of(cls, row: RehearsalConfirmation) -> "RehearsalConfirmationOut":
        return cls(class_id=row.class_id, confirmed=row.confirmed, excluded=row.excluded, at=row.at)


class RehearsalClassOut(BaseModel):
    """A class of a rehearsal; `confirmation` is null until its counselor confirms."""

    class_id: UUID
    class_name: str | None = Field(default=None, examples=["2024级1班"])
    check_ins: list[RehearsalCheckInOut]
    confirmation: RehearsalConfirmationOut | None

    @classmethod
    def of(
        cls, class_id: UUID, rows: list[ProbeRow], confirmation: RehearsalConfirmation | None
    ) -> "RehearsalClassOut":
        check_ins = [
            RehearsalCheckInOut(student_id=row.student.id, student_name=row.student.name, at=row.probe.at)
            for row in rows
        ]
        confirmed = None if confirmation is None else RehearsalConfirmationOut.of(confirmation)
        return cls(class_id=class_id, check_ins=check_ins, confirmation=confirmed)


class RehearsalConfirmationIn(Schema):
    """The counselor's statement: the students of the class who checked in were in front of me, except these."""

    class_id: UUID
    excluded: list[UUID] = Field(
        default=[], max_length=1000, description="当时不在场的学生 · students who were not in front of you"
    )


class ShareOut(BaseModel):
    """A share with its 95 % interval."""

    value: float
    low: float
    high: float


class GenuineSharesOut(BaseModel):
    """What happened to the check-ins of the rehearsal at the thresholds of this version."""

    people: int
    accepted: ShareOut
    doubtful: ShareOut
    refused: ShareOut


class GroupFiguresOut(BaseModel):
    """A group of one sex and age. `bound` is its threshold; null for a group with too few people."""

    group: str = Field(examples=["female 16-17"])
    people: int
    probes: int
    pairs: int
    estimate: float | None
    bound: float | None
    alike: int = Field(description="得分如本人的不同学生对 · pairs of students that score like one person")
    genuine: GenuineSharesOut | None


class FaceThresholdOut(BaseModel):
    """A version of learned thresholds, the strictest group first."""

    id: UUID
    engine: str = Field(examples=["sface/1"])
    version: int
    state: Literal["in_force", "proposed", "superseded"]
    method: Annotated[str, OneOf(Method)]
    accept_from: float
    reject_below: float
    people: int
    probes: int
    minimum: int
    demonstration: bool = Field(
        description="演示参数，不得用于正式环境 · learned with the figures of a demonstration"
    )
    groups: list[GroupFiguresOut]
    reason: Literal["first", "tightened", "unchanged", "loosened", "scoring_changed"]
    policy_version: str
    learned_at: datetime
    approved_by: UUID | None
    approved_by_name: str | None = Field(default=None, examples=["赵老师"])
    approved_at: datetime | None
    approval_reasons: str | None

    @classmethod
    def of(cls, row: VersionRow) -> "FaceThresholdOut":
        version, approval = row.version, row.approval
        waits = version.effect == "approval" and approval is None
        state = "in_force" if row.in_force else "proposed" if waits else "superseded"
        return cls.model_validate(
            {
                "id": version.id,
                "engine": f"{version.engine_id}/{version.engine_version}",
                "version": version.version,
                "state": state,
                "method": version.method,
                "accept_from": version.accept_from,
                "reject_below": version.reject_below,
                "people": version.people,
                "probes": version.probes,
                "minimum": version.minimum,
                "demonstration": version.demonstration,
                "groups": version.groups,
                "reason": version.reason,
                "policy_version": version.policy_version,
                "learned_at": version.learned_at,
                "approved_by": None if approval is None else approval.account_id,
                "approved_at": None if approval is None else approval.at,
                "approval_reasons": None if approval is None else approval.reasons,
            }
        )


class ThresholdApprovalIn(Schema):
    """Why the province puts the version in force, after reading the schools' reports."""

    reasons: LongText = Field(examples=["各校演练报告已核对，最差组误认与拒认均可接受。"])
