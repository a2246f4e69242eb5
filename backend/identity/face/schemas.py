"""Wire schemas of submitted pictures: enrolment shots and the ID portrait."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from backend.identity.tables import FaceEnrolment, Portrait


class ReasonOut(BaseModel):
    """Why a picture was refused; `shot` counts from 0 and is null for all shots together."""

    shot: int | None
    code: str = Field(examples=["too_dark"])
    zh: str = Field(examples=["光线太暗。请到明亮处再拍。"])
    en: str = Field(examples=["It is too dark. Go where there is more light."])


class PictureStateOut(BaseModel):
    """The state of submitted pictures: none, pending, accepted, review or refused."""

    state: Literal["none", "pending", "accepted", "review", "refused"]
    reasons: list[ReasonOut] = []
    submitted_at: datetime | None = None
    decided_at: datetime | None = None


def picture_state_out(row: FaceEnrolment | Portrait | None) -> PictureStateOut:
    """The latest submission as the API returns it."""
    if row is None:
        return PictureStateOut(state="none")
    return PictureStateOut.model_validate(
        {
            "state": row.status,
            "reasons": [ReasonOut.model_validate(reason) for reason in row.reasons],
            "submitted_at": row.submitted_at,
            "decided_at": row.decided_at,
        }
    )
