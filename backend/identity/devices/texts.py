"""Texts of the notices about a student's device."""

from datetime import datetime

from backend.core.bilingual import Bilingual, format_instant
from backend.notice.messages import NoticeText, SmsText

REBOUND_TO_STUDENT = NoticeText(
    Bilingual("已换绑手机", "Your account moved to another phone"),
    Bilingual(
        "您的账号已绑定到另一部手机。如非本人操作，请立即联系辅导员。",
        "Your account is now bound to another phone. If this was not you, tell your counselor at once.",
    ),
)


def rebound_sms(at: datetime) -> SmsText:
    return SmsText("notice", {"title": "换绑手机", "until": format_instant(at)})
