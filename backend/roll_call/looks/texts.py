"""Texts of notices about looks."""

from datetime import datetime

from backend.core.bilingual import Bilingual, format_end
from backend.notice.messages import NoticeText


def overdue_to_staff(unit: str, title: str, expired_at: datetime) -> NoticeText:
    """A sampled look of a school was not reviewed in time. Sent once for each roll call."""
    until = format_end(expired_at)
    return NoticeText(
        Bilingual("照片核对抽查逾期未复核", "A sampled look was not reviewed in time"),
        Bilingual(
            f"{unit}应在 {until} 前复核“{title}”中抽中的照片核对，至今未复核。请督促按期复核；学生的核验结果不变。"
            "同一次核验不再重复通知。",
            f"{unit} had to review a sampled look of “{title}” by {until} and did not. See to it that reviews are done in time; the"
            " student's result does not change. Others of this roll call have no notice of their own.",
        ),
    )


def look_waiting_to_staff(title: str, until: datetime) -> NoticeText:
    """The first pictures of a roll call wait for the person. Sent once for each roll call."""
    end = format_end(until)
    return NoticeText(
        Bilingual("有照片等待您核对", "Pictures wait for your look"),
        Bilingual(
            f"“{title}”有学生的核验照片需要人工与证件照核对，请在“照片核对”中答复，最早一项截止 {end}；到期未答复的，结果仍为待定。"
            "同一次核验之后的照片不再逐一通知。",
            f"In “{title}” a person has to compare pictures of students with their ID portraits. Answer under looks; the first one ends {end}."
            " Without an answer the result stays undetermined. Later pictures of this roll call have no notice of their own.",
        ),
    )


def look_expiring_to_staff(title: str, until: datetime) -> NoticeText:
    """Pictures of a roll call still wait for the person, and soon no one may answer. Sent once for each roll call."""
    end = format_end(until)
    return NoticeText(
        Bilingual("照片核对即将截止", "Looks end soon"),
        Bilingual(
            f"“{title}”仍有核验照片等待您核对，最早一项截止 {end}。请在“照片核对”中答复；到期未答复的，结果仍为待定。",
            f"Pictures of “{title}” still wait for your look; the first one ends {end}. Answer under looks. Without an answer the result stays"
            " undetermined.",
        ),
    )
