"""Wire schemas of consents, their texts, and the alternative without a face."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from backend.core.web.schema_types import OneOf, Schema, ShortText
from backend.identity.consents import CONSENT_KINDS, ConsentText
from backend.people.tables import Consent

ConsentKind = Annotated[str, OneOf(CONSENT_KINDS)]


class ConsentIn(Schema):
    """The answer to one consent question, with the version of the text that was shown."""

    kind: ShortText = Field(examples=["face_use"])
    granted: bool
    text_version: ShortText = Field(examples=["face-use-1"])
    guardian_name: ShortText | None = Field(default=None, examples=[None])


class ConsentOut(BaseModel):
    """A kind of consent, its current text, and the newest answer; `granted` is null before the first answer."""

    kind: ConsentKind = Field(examples=["face_use"])
    text_version: str = Field(description="现行文本 · the text in force", examples=["face-use-1"])
    granted: bool | None
    answered_version: str | None = Field(examples=["face-use-1"])
    at: datetime | None
    title_zh: str = Field(examples=["使用人脸核验"])
    title_en: str = Field(examples=["Use of your face"])
    text_zh: str = Field(examples=["点名核验时，用您现场拍摄的人脸与采集的人脸比对……"])
    text_en: str = Field(examples=["At a roll call, your face is compared with …"])


class ConsentTextOut(BaseModel):
    """One version of the text of a consent, current or earlier."""

    kind: ConsentKind = Field(examples=["face_use"])
    text_version: str = Field(examples=["face-use-1"])
    title_zh: str = Field(examples=["使用人脸核验"])
    title_en: str = Field(examples=["Use of your face"])
    text_zh: str = Field(examples=["点名核验时，用您现场拍摄的人脸与采集的人脸比对……"])
    text_en: str = Field(examples=["At a roll call, your face is compared with …"])


class NonFaceRouteIn(Schema):
    """Why the student chooses verification without a face; every reason is accepted."""

    reason: ShortText = Field(examples=["不同意使用人脸识别"])


def consent_out(text: ConsentText, answer: Consent | None) -> ConsentOut:
    """A kind of consent as the API returns it, with its current text."""
    return ConsentOut(
        kind=text.purpose,
        text_version=text.version,
        granted=answer.granted if answer else None,
        answered_version=answer.text_version if answer else None,
        at=answer.at if answer else None,
        title_zh=text.title_zh,
        title_en=text.title_en,
        text_zh=text.zh,
        text_en=text.en,
    )


def consent_text_out(text: ConsentText) -> ConsentTextOut:
    """A text as the API returns it."""
    return ConsentTextOut(
        kind=text.purpose,
        text_version=text.version,
        title_zh=text.title_zh,
        title_en=text.title_en,
        text_zh=text.zh,
        text_en=text.en,
    )
