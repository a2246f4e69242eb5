"""Wire schemas of consents and of the alternative without a face."""

from datetime import datetime

from pydantic import BaseModel, Field

from backend.core.web.schema_types import Schema, ShortText
from backend.people.tables import Consent


class ConsentIn(Schema):
    """The answer to one consent question, with the version of the text that was shown."""

    kind: ShortText = Field(examples=["face_use"])
    granted: bool
    text_version: ShortText = Field(examples=["face-use-1"])
    guardian_name: ShortText | None = Field(default=None, examples=[None])


class ConsentOut(BaseModel):
    """A kind of consent, its current text, and the newest answer; `granted` is null before the first answer."""

    kind: str = Field(examples=["face_use"])
    text_version: str = Field(description="现行文本 · the text in force", examples=["face-use-1"])
    granted: bool | None
    answered_version: str | None = Field(examples=["face-use-1"])
    at: datetime | None


class NonFaceRouteIn(Schema):
    """Why the student chooses verification without a face; every reason is accepted."""

    reason: ShortText = Field(examples=["不同意使用人脸识别"])


def consent_out(kind: str, text_version: str, answer: Consent | None) -> ConsentOut:
    """A kind of consent as the API returns it."""
    return ConsentOut(
        kind=kind,
        text_version=text_version,
        granted=answer.granted if answer else None,
        answered_version=answer.text_version if answer else None,
        at=answer.at if answer else None,
    )
