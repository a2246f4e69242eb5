"""Wire schema of a school's face report; `dianming face report` prints the same."""

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field

from backend.core.web.schema_types import OneOf
from backend.identity.face.calibration.report import MISSING, GroupReport, SchoolReport
from backend.identity.face.calibration.schemas import GenuineSharesOut, ShareOut
from biometrics.matching.learned_thresholds import GenuineShares, Share


class MissingEvidenceOut(BaseModel):
    """Something that is missing, and what follows."""

    code: Annotated[str, OneOf(MISSING)] = Field(examples=["rehearsal_not_confirmed"])
    zh: str
    en: str


class GroupReportOut(BaseModel):
    """A group of the school. Without thresholds (`proven` false), people decide about its faces."""

    group: str = Field(examples=["female 16-17"])
    enrolled: int
    probed: int = Field(
        description="有已确认联调签到的人数 · students with a confirmed check-in of a rehearsal"
    )
    deployment_people: int | None = Field(description="全省该组人数 · people of the group in all schools")
    proven: bool
    shares: GenuineSharesOut | None


class FaceReportOut(BaseModel):
    """What a school may expect of the face check, the worst group first.

    The shares are of the school's own confirmed check-ins at the thresholds in force, one person counting once, with 95 %
    intervals. They say nothing about strangers, about liveness and position, or about a classmate who looks alike.
    """

    school_id: UUID
    school_name: str | None = Field(default=None, examples=["郑州市第一职业学校"])
    engine: str | None = Field(examples=["sface/1"])
    enrolled: int
    probed: int
    minimum: int = Field(description="每组最少人数 · people that a group needs in all schools")
    demonstration: bool = Field(
        description="演示参数，不代表任何误认率 · figures of a demonstration claim no rate"
    )
    version: int | None = Field(description="生效的阈值版本 · version of the thresholds in force")
    accept_from: float | None
    reject_below: float | None
    groups: list[GroupReportOut]
    shares: GenuineSharesOut | None
    looks: ShareOut | None = Field(
        description="每次全员点名预计需人工核对的人数 · expected students per roll call whom people must look at"
    )
    missing: list[MissingEvidenceOut]

    @classmethod
    def of(cls, report: SchoolReport) -> "FaceReportOut":
        return cls(
            school_id=report.school_id,
            engine=None if report.engine is None else str(report.engine),
            enrolled=report.enrolled,
            probed=report.probed,
            minimum=report.minimum,
            demonstration=report.demonstration,
            version=report.version,
            accept_from=report.accept_from,
            reject_below=report.reject_below,
            groups=[_group_out(each) for each in report.groups],
            shares=_shares_out(report.shares),
            looks=None if report.looks is None else _share_out(report.looks),
            missing=[
                MissingEvidenceOut(code=code, zh=MISSING[code][0], en=MISSING[code][1])
                for code in report.missing
            ],
        )


def _group_out(group: GroupReport) -> GroupReportOut:
    return GroupReportOut(
        group=group.group,
        enrolled=group.enrolled,
        probed=group.probed,
        deployment_people=group.deployment_people,
        proven=group.proven,
        shares=_shares_out(group.shares),
    )


def _shares_out(shares: GenuineShares | None) -> GenuineSharesOut | None:
    if shares is None:
        return None
    return GenuineSharesOut(
        people=shares.people,
        accepted=_share_out(shares.accepted),
        doubtful=_share_out(shares.doubtful),
        refused=_share_out(shares.refused),
    )


def _share_out(share: Share) -> ShareOut:
    return ShareOut(value=round(share.value, 6), low=round(share.low, 6), high=round(share.high, 6))
