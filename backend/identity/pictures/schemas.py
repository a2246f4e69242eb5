"""Wire schemas of the record of who looked at a student's pictures and positions."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from backend.identity.pictures.purposes import PicturePurpose
from backend.identity.pictures.recording import ViewedKind
from backend.identity.pictures.views import ViewRow

StaffRole = Literal["province", "bureau", "registrar", "counselor"]


class PurposeOut(BaseModel):
    """Why a member of the staff looked."""

    code: PicturePurpose
    zh: str = Field(examples=["核对学籍证件照"])
    en: str = Field(examples=["To check the ID portrait"])


class OwnPictureViewOut(BaseModel):
    """A look at a picture or at positions of the student: what, when, why, and the role and unit of who looked; no names."""

    id: UUID
    kind: ViewedKind = Field(description="照片种类或定位点 · the kind of picture, or positions")
    source_id: UUID = Field(
        description="提交、采集、登记、证件照或点名的编号 · the check-in, enrolment, portrait or roll call"
    )
    position: int = Field(examples=[0])
    role: StaffRole
    unit_name: str = Field(examples=["郑州市第一职业学校"])
    purpose: PurposeOut
    at: datetime


class PictureViewOut(OwnPictureViewOut):
    """A look as the school and its superiors read it. `person` is null for an account that the reader may not see."""

    account_id: UUID
    person: str | None = Field(examples=["王老师"])


def own_picture_view_out(row: ViewRow) -> OwnPictureViewOut:
    """A look as the student reads it."""
    return OwnPictureViewOut.model_validate(_view_fields(row))


def picture_view_out(row: ViewRow) -> PictureViewOut:
    """A look as staff read it."""
    staff_fields = {"account_id": row.view.account_id, "person": row.person}
    return PictureViewOut.model_validate(_view_fields(row) | staff_fields)


def _view_fields(row: ViewRow) -> dict[str, object]:
    purpose = PicturePurpose(row.view.purpose)
    return {
        "id": row.view.id,
        "kind": row.view.kind,
        "source_id": row.view.source_id,
        "position": row.view.position,
        "role": row.view.role,
        "unit_name": row.unit_name,
        "purpose": {"code": purpose, "zh": purpose.words.zh, "en": purpose.words.en},
        "at": row.view.at,
    }
