"""Texts of notices about looks."""

from datetime import datetime

from backend.core.bilingual import Bilingual, format_end
from backend.notice.messages import NoticeText


def overdue_to_staff(unit: str, expired_at: datetime) -> NoticeText:
    """A sampled look of a school was not reviewed in time."""
    until = format_end(expired_at)
    return NoticeText(
        Bilingual("照片核对抽查逾期未复核", "A sampled look was not reviewed in time"),
        Bilingual(
            f"{unit}应在 {until} 前复核一项抽中的照片核对，至今未复核。请督促按期复核；学生的核验结果不变。",
            f"{unit} had to review a sampled look by {until} and did not. See to it that reviews are done in time; the student's result does not change.",
        ),
    )
