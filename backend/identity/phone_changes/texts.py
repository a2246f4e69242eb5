"""Texts of the notices of phone changes.

The number on the roll may have passed to a stranger, so the SMS to it contains no name and no code.
"""

from backend.core.bilingual import Bilingual
from backend.identity.phone_changes.rules import PhoneChangeState
from backend.notice.messages import NoticeText, SmsText

WARNING = SmsText("phone_change")
"""本号码在学籍系统中登记为学生联系电话，学校正申请改为其他号码。非本人要求请联系学校；不认识请忽略。"""

PROPOSED_TO_STUDENT = NoticeText(
    Bilingual("学校申请变更您的联系电话", "Your school wants to change your phone number"),
    Bilingual(
        "学校申请变更您的联系电话，您确认前不生效。请在“联系电话变更”中核对新号码后确认；不是您的号码，请拒绝并告知上级教育部门。",
        "Your school wants to change your phone number. It takes no effect until you confirm it: check the new number"
        " in the app and confirm it. If it is not yours, refuse it and tell the authority above your school.",
    ),
)
OLD_NUMBER_WARNED = NoticeText(
    Bilingual("联系电话变更提醒", "Change of a phone number"),
    Bilingual("已向原联系电话发送变更提醒短信。", "A warning was sent to the earlier phone number by SMS."),
)
"""The record of a message that goes out by SMS only."""

END_PHRASES = {
    PhoneChangeState.CONFIRMED: Bilingual(
        "已由学生本人确认并生效", "was confirmed by the student and is in effect"
    ),
    PhoneChangeState.APPROVED: Bilingual(
        "已由上级教育部门核准并生效", "was approved by the superior and is in effect"
    ),
    PhoneChangeState.REFUSED: Bilingual("未获同意，号码不变", "was refused; the number stays as it was"),
    PhoneChangeState.WITHDRAWN: Bilingual(
        "已由学校撤回，号码不变", "was withdrawn by the school; the number stays as it was"
    ),
}


def proposed_to_superior(school: str, students: int) -> NoticeText:
    return NoticeText(
        Bilingual("学校申请变更学生联系电话", "A school wants to change phone numbers of students"),
        Bilingual(
            f"{school}申请变更 {students} 名已绑定手机学生的联系电话。学生本人不能确认的，由您单位核实后核准。",
            f"{school} wants to change the phone numbers of {students} students who have bound a phone."
            " For students who cannot confirm the change, your unit verifies and approves it.",
        ),
    )


def decided_to_student(state: PhoneChangeState) -> NoticeText:
    """Also sent to the registrars. `state` is one of `END_PHRASES`."""
    end = END_PHRASES[state]
    return NoticeText(
        Bilingual("联系电话变更结果", "The change of your phone number"),
        Bilingual(f"联系电话变更{end.zh}。", f"The change of the phone number {end.en}."),
    )
