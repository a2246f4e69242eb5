"""Texts of the notices of leave. They contain no reason and no full name, because other people may see the phone."""

from datetime import datetime

from backend.core.bilingual import Bilingual, format_instant
from backend.leave.rules import LeaveBalance
from backend.notice.messages import NoticeText

REQUESTED = Bilingual("新的请假申请", "A request for leave")
CANCELLED = Bilingual("请假已撤销", "Leave cancelled")
RETURNED = Bilingual("已销假", "Return recorded")


def short(title: Bilingual, opens: datetime, closes: datetime) -> NoticeText:
    """What happened to which leave."""
    start, end = format_instant(opens), format_instant(closes)
    return NoticeText(
        title,
        Bilingual(
            f"{title.zh}：{start} 至 {end}。请在应用中查看。", f"{title.en}: {start} to {end}. See the app."
        ),
    )


def decided_to_student(
    *, approved: bool, opens: datetime, closes: datetime, balance: LeaveBalance
) -> NoticeText:
    """The decision, and the leave days of the term."""
    outcome = Bilingual("已批准", "approved") if approved else Bilingual("未批准", "declined")
    start, end, days = format_instant(opens), format_instant(closes), days_sentence(balance)
    return NoticeText(
        Bilingual(f"请假{outcome.zh}", f"Leave {outcome.en}"),
        Bilingual(
            f"您 {start} 至 {end} 的请假{outcome.zh}。{days.zh}",
            f"Your leave from {start} to {end} was {outcome.en}. {days.en}",
        ),
    )


def days_sentence(balance: LeaveBalance) -> Bilingual:
    """The leave days of the term, with the applicable warning."""
    used, cap = len(balance.used), balance.cap
    zh = f"本学期已请假 {used} 天，连同已批准的共 {balance.planned} 天，上限 {cap} 天。"
    en = f"Leave this term: {used} days used, {balance.planned} with what is approved, {cap} at most."
    if balance.over:
        return Bilingual(
            f"{zh}已超过上限，学校将收到按休学处理的提示。",
            f"{en} The limit is passed: the school is prompted for suspension.",
        )
    if balance.plan_exceeds:
        return Bilingual(
            f"{zh}如不提前返校，将超过上限，按休学处理。",
            f"{en} Unless you return early, the limit will be passed.",
        )
    if balance.warning is not None:
        return Bilingual(
            f"{zh}还剩 {balance.left} 天，请留意。", f"{en} {balance.left} days are left; take care."
        )
    return Bilingual(zh, en)


def approved_to_guardian(child: str, opens: str, closes: str, days: str, cap: str) -> NoticeText:
    return NoticeText(
        Bilingual("告知监护人：请假已批准", "To the guardian: leave approved"),
        Bilingual(
            f"{child} {opens} 至 {closes} 的请假已批准，本学期共 {days} 天，上限 {cap} 天。",
            f"{child}: leave from {opens} to {closes} was approved; {days} days this term, {cap} at most.",
        ),
    )


def over_limit_to_guardian(child: str, days: str, cap: str) -> NoticeText:
    return NoticeText(
        Bilingual("告知监护人：请假超过上限", "To the guardian: leave past the limit"),
        Bilingual(
            f"{child}本学期请假 {days} 天，超过上限 {cap} 天。请联系辅导员。",
            f"{child}: {days} days of leave this term, more than {cap}. Please call the counselor.",
        ),
    )
