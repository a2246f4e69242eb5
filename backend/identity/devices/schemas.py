"""Wire schemas of devices: registering a phone, and the phone bound to a student."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from backend.core.web.schema_types import Schema, ShortText


class RegistrationIn(Schema):
    """Name and number on the identity document. Spaces, full-width forms and the kind of middle dot do not matter."""

    name: ShortText = Field(examples=["张三"])
    id_number: ShortText = Field(examples=["11010519491231002X"])


class RegistrationOut(BaseModel):
    """The same answer for every request, whether or not the person is on a roster."""

    registration_id: UUID
    expires_in: int = Field(
        description="验证码有效秒数 · seconds for which the code can be used", examples=[300]
    )


class ConfirmationIn(Schema):
    """The code from the SMS."""

    code: Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$")] = Field(examples=["493027"])


class DeviceOut(BaseModel):
    """The student's active phone; check-ins before `cool_down_until` need a second check."""

    thumbprint: str = Field(description="RFC 7638", examples=["NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"])
    bound_at: datetime
    cool_down_until: datetime | None


class RevocationIn(Schema):
    """Why the phone is revoked."""

    reason: ShortText = Field(examples=["手机丢失"])
