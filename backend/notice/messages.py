"""Messages and recipients: the values that other packages pass to this one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Self
from uuid import UUID

from backend.core.bilingual import Bilingual

Channel = Literal["in_app", "sms", "web_push"]
"""Delivery channels in use; `in_app` always applies, and `web_push` wherever a student's phone has subscribed to it."""

IN_APP: tuple[Channel, ...] = ("in_app",)
IN_APP_AND_SMS: tuple[Channel, ...] = ("in_app", "sms")


@dataclass(frozen=True, slots=True)
class SmsText:
    """An SMS by the logical name of its template and that template's parameters.

    Providers in China send registered templates only; `DIANMING_SMS_TEMPLATES` maps names to registered codes.
    """

    template: str
    params: Mapping[str, str] = field(default_factory=dict)


class NoticeText(NamedTuple):
    """Title and body of a notice in both languages. `docs/texts.md` lists those that students receive."""

    title: Bilingual
    body: Bilingual


@dataclass(frozen=True, slots=True)
class Message:
    """One text for any number of recipients. `data` holds identifiers for links and no personal data.

    Messages of one cause share a `group_id`; delivery statistics are counted per group.
    """

    kind: str
    group_id: UUID
    title_zh: str
    title_en: str
    body_zh: str
    body_en: str
    data: Mapping[str, Any] = field(default_factory=dict)
    sms: SmsText | None = None

    @classmethod
    def of(
        cls,
        kind: str,
        group_id: UUID,
        text: NoticeText,
        data: Mapping[str, UUID],
        sms: SmsText | None = None,
    ) -> Self:
        """A message with the text of a `texts` module; `data` names the records that it links to."""
        links = {name: str(identifier) for name, identifier in data.items()}
        return cls(kind, group_id, *text.title, *text.body, data=links, sms=sms)


@dataclass(frozen=True, slots=True)
class StudentRecipient:
    """A student; `phone` as on file, or None if no SMS can be sent."""

    student_id: UUID
    school_id: UUID
    account_id: UUID | None = None
    phone: str | None = None


@dataclass(frozen=True, slots=True)
class StaffRecipient:
    """A staff account of the unit at `org_path`."""

    account_id: UUID
    org_path: str
    school_id: UUID | None = None
    phone: str | None = None


Recipient = StudentRecipient | StaffRecipient
