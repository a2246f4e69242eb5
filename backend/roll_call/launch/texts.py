"""Texts of the notices of a roll call."""

from datetime import datetime

from backend.core.bilingual import Bilingual, format_instant
from backend.notice.messages import NoticeText, SmsText

KINDS = {
    "spot_check": Bilingual("学籍核验", "Roll call"),
    "registration": Bilingual("注册核验", "Registration check"),
    "rehearsal": Bilingual("联调测试", "Rehearsal"),
    "school_own": Bilingual("校内点名", "School roll call"),
}
SMS_TITLE_LENGTH = 20


def launched_to_student(kind: str, title: str, opens: datetime, closes: datetime) -> NoticeText:
    name, start, end = KINDS[kind], format_instant(opens), format_instant(closes)
    return NoticeText(
        Bilingual(f"{name.zh}通知", name.en),
        Bilingual(
            f"{name.zh}“{title}”：请于 {start} 至 {end} 在学校备案办学地址内打开应用完成核验。",
            f"{name.en} “{title}”: verify in the app inside your school's filed address, {start} to {end}.",
        ),
    )


def launched_to_staff(kind: str, title: str, opens: datetime, closes: datetime) -> NoticeText:
    name, start, end = KINDS[kind], format_instant(opens), format_instant(closes)
    return NoticeText(
        Bilingual(f"{name.zh}通知", name.en),
        Bilingual(
            f"{name.zh}“{title}”将于 {start} 至 {end} 进行，请督促所负责的学生按时完成。",
            f"{name.en} “{title}” runs from {start} to {end}; please make sure that your students take part.",
        ),
    )


def reminder_to_student(title: str, closes: datetime) -> NoticeText:
    end = format_instant(closes)
    return NoticeText(
        Bilingual("核验提醒", "Reminder"),
        Bilingual(
            f"您尚未完成核验“{title}”，截止时间 {end}。",
            f"You have not yet taken part in “{title}”; it closes at {end}.",
        ),
    )


def voided_to_student(title: str, reason: str) -> NoticeText:
    return NoticeText(
        Bilingual("核验作废", "Roll call voided"),
        Bilingual(
            f"核验“{title}”已作废：{reason}。您无须操作，也不会因此记为未核验。",
            f"Roll call “{title}” was voided: {reason}. You do not need to do anything, and it does not count as missed.",
        ),
    )


def extended_to_student(title: str, closes: datetime) -> NoticeText:
    end = format_instant(closes)
    return NoticeText(
        Bilingual("核验时间延长", "Roll call extended"),
        Bilingual(
            f"因系统中断，核验“{title}”延长至 {end}。尚未完成的请在此之前完成。",
            f"Because of a service outage, roll call “{title}” stays open until {end}.",
        ),
    )


def sms(title: str, closes: datetime) -> SmsText:
    """The SMS of a notice; the registered template has a title and an end."""
    return SmsText("notice", {"title": title[:SMS_TITLE_LENGTH], "until": format_instant(closes)})
