"""API schemas of filings and exports. Amounts are whole fen (1 yuan = 100 fen)."""

from datetime import date, datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field, model_validator
from sqlalchemy import ColumnElement

from backend.aid.exports import APPROVED, DOWNLOADED, REQUESTED, ExportView, RequestExport
from backend.aid.filings import FilingKind, FilingLine, FilingSearch, FilingState, FilingView, describe_change
from backend.aid.rules import AidKind
from backend.core.tables import AuditEntry
from backend.core.web.schema_types import OneOf, Schema, ShortText


class FilingSummaryOut(BaseModel):
    """A withdrawal of unpaid aid, or its reinstatement, with the reason."""

    id: UUID
    kind: Annotated[str, OneOf(FilingKind)] = Field(
        description="撤回 withdrawal, 恢复 reinstatement", examples=["withdrawal"]
    )
    change_id: UUID = Field(
        description="所依据的学籍异动，可据此申诉 · the standing change; an appeal names it"
    )
    term_code: str = Field(examples=["2026-autumn"])
    fen: int = Field(examples=[92000])
    filed_at: datetime
    acknowledged_at: datetime | None
    why_zh: str = Field(examples=["学习形式变更为非全日制"])
    why_en: str

    @classmethod
    def from_view(cls, view: FilingView, path: str) -> Self:
        """`path` is the school's; the law of the day describes the change."""
        zh, en = describe_change(view.entry, path)
        return cls(
            id=view.filing.id,
            kind=view.filing.kind,
            change_id=view.filing.change_id,
            term_code=view.filing.term_code,
            fen=view.filing.fen,
            filed_at=view.filing.filed_at,
            acknowledged_at=view.acknowledgement.at if view.acknowledgement else None,
            why_zh=zh,
            why_en=en,
        )


class FilingOut(FilingSummaryOut):
    """A filing with the aid office and its progress."""

    student_id: UUID
    school_id: UUID
    school_name: str | None = Field(default=None, examples=["郑州市第一职业学校"])
    name: str = Field(examples=["某某"])
    state: Annotated[str, OneOf(FilingState)] = Field(
        description="filed, exported, acknowledged", examples=["filed"]
    )
    exported_at: datetime | None
    reference: str | None = Field(description="资助部门编号", examples=[None])
    age_days: int | None = Field(
        description="未签收天数 · days since filing, until acknowledged", examples=[3]
    )

    @classmethod
    def from_view_at(cls, view: FilingView, path: str, at: datetime) -> Self:
        summary = FilingSummaryOut.from_view(view, path).model_dump()
        return cls(
            **summary,
            student_id=view.filing.student_id,
            school_id=view.filing.school_id,
            name=view.student.name,
            state=view.state.value,
            exported_at=view.exported_at,
            reference=view.acknowledgement.reference if view.acknowledgement else None,
            age_days=view.age_in_days(at),
        )


class FilingLineOut(BaseModel):
    """One instalment of the term. The amount paid is not affected."""

    award_id: UUID
    kind: AidKind
    month: date
    granted_fen: int = Field(description="核定", examples=[23000])
    paid_fen: int = Field(description="已发放（不变）", examples=[0])
    fen: int = Field(description="撤回或恢复", examples=[23000])

    @classmethod
    def from_line(cls, line: FilingLine) -> Self:
        return cls(
            award_id=line.award_id,
            kind=AidKind(line.kind),
            month=line.month,
            granted_fen=line.granted,
            paid_fen=line.paid,
            fen=line.fen,
        )


class FilingDetailOut(FilingOut):
    """A filing with one line per instalment."""

    lines: list[FilingLineOut]


class AcknowledgementIn(Schema):
    """The aid office's reference number for the filing."""

    reference: ShortText = Field(examples=["郑资助撤〔2026〕0123号"])


class FilingFilterIn(Schema):
    """The filters of the list of filings; null means any."""

    state: FilingState | None = Field(default=None, strict=False)
    kind: FilingKind | None = None
    school_id: UUID | None = None
    unit_id: UUID | None = None
    q: ShortText | None = Field(
        default=None, description="姓名或学籍号 · name or number of the student", examples=["李明"]
    )

    def to_search(self, matching: ColumnElement[bool] | None) -> FilingSearch:
        """The filters as a search; `matching` is the condition of `q` on the student."""
        return FilingSearch(self.state, self.kind, self.school_id, self.unit_id, matching)


class ExportIn(Schema):
    """The purpose of the export and its filings: these ids, or all that the filter finds, or all that were never exported."""

    purpose: ShortText = Field(examples=["报送市资助中心办理撤回"])
    filing_ids: list[UUID] = Field(default=[], max_length=500)
    filter: FilingFilterIn | None = Field(default=None, examples=[{"state": "filed"}])

    @model_validator(mode="after")
    def _has_one_choice(self) -> Self:
        if self.filing_ids and self.filter is not None:
            raise ValueError("`filing_ids` and `filter` exclude each other")
        return self

    def to_request(self, matching: ColumnElement[bool] | None) -> RequestExport:
        """The request of the service; `matching` is the condition of the filter's `q`."""
        search = None if self.filter is None else self.filter.to_search(matching)
        return RequestExport(self.purpose, tuple(self.filing_ids), search)


class ExportOut(BaseModel):
    """An export with its owner and approval."""

    id: UUID
    purpose: str = Field(examples=["报送市资助中心办理撤回"])
    owner: str = Field(description="导出责任人", examples=["王老师"])
    requested_by: UUID
    requested_by_name: str | None = Field(default=None, examples=["王老师"])
    filings: int = Field(examples=[3])
    requested_at: datetime
    approved_by: UUID | None
    approved_by_name: str | None = Field(default=None, examples=["赵老师"])
    approved_at: datetime | None

    @classmethod
    def from_view(cls, view: ExportView) -> Self:
        return cls(
            id=view.export.id,
            purpose=view.export.purpose,
            owner=view.owner,
            requested_by=view.export.requested_by,
            filings=view.filing_count,
            requested_at=view.export.requested_at,
            approved_by=view.approval.approved_by if view.approval else None,
            approved_at=view.approval.at if view.approval else None,
        )


ExportAct = Literal["requested", "approved", "downloaded"]


class ExportActOut(BaseModel):
    """What was done about an export, from the audit log."""

    act: Annotated[str, OneOf(ExportAct)] = Field(
        description="requested 申请、approved 批准、downloaded 下载", examples=["downloaded"]
    )
    acted_by: UUID | None
    acted_by_name: str | None = Field(default=None, examples=["王老师"])
    at: datetime

    @classmethod
    def from_entry(cls, entry: AuditEntry) -> Self:
        return cls(act=_EXPORT_ACTS[entry.action], acted_by=entry.acting_account, at=entry.at)


_EXPORT_ACTS: dict[str, ExportAct] = {REQUESTED: "requested", APPROVED: "approved", DOWNLOADED: "downloaded"}


class ExportDetailOut(ExportOut):
    """An export with everything that was done about it, oldest first."""

    acts: list[ExportActOut]
