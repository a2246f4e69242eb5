"""Texts of the notices about a student's device."""

from datetime import datetime

from backend.core.bilingual import Bilingual, format_instant
from backend.notice.messages import NoticeText, SmsText

REBOUND_TO_STUDENT = NoticeText(
    Bilingual("已换绑手机", "Your account moved to another phone"),
    Bilingual(
        "您的账号已绑定到另一部手机。如非本人操作，请立即在原手机上提出异议，或联系辅导员。",
        "Your account is now bound to another phone. If this was not you, object on the old phone or tell your counselor at once.",
    ),
)

REBINDING_REQUESTED_TO_STUDENT = NoticeText(
    Bilingual("有人正在换绑您的账号", "Someone is binding another phone to your account"),
    Bilingual(
        "另一部手机已用您的姓名、证件号和短信验证码申请换绑，还须核对人脸或当面绑定码。如非本人操作，请立即联系辅导员，并检查本机号码是否被补卡。",
        "Another phone entered your name, ID number and the code of the SMS to replace this phone; a face or a code given in person is still"
        " needed. If this was not you, tell your counselor at once and check whether someone got your SIM card replaced.",
    ),
)


def rebound_sms(at: datetime) -> SmsText:
    return SmsText("notice", {"title": "换绑手机", "until": format_instant(at)})


ACTS = {
    "consent_revoked": Bilingual("撤回同意", "revoked a consent"),
    "non_face_route": Bilingual("选择非人脸方式", "chose verification without a face"),
    "reason_claim": Bilingual("说明未核验理由", "stated a reason for a miss"),
    "statement": Bilingual("提交陈述意见", "made a statement"),
    "appeal": Bilingual("提出申诉", "filed an appeal"),
    "appeal_message": Bilingual("补充申诉材料", "added to an appeal"),
}


def cool_down_act_to_staff(name: str, kind: str) -> NoticeText:
    """What a student did on a new phone during its cool-down."""
    act = ACTS[kind]
    return NoticeText(
        Bilingual("换绑冷静期内有新办理事项", "An act during the cool-down of a new phone"),
        Bilingual(
            f"{name}刚换绑手机，并在冷静期内{act.zh}。该事项已生效，请当面或电话确认是否本人办理。",
            f"{name} changed phones recently and {act.en}. It is in effect. Ask the student whether they did it.",
        ),
    )


def objection_to_staff(name: str) -> NoticeText:
    """The old phone of a student objects to the new one."""
    return NoticeText(
        Bilingual("学生对换绑手机提出异议", "A student objects to a change of phone"),
        Bilingual(
            f"{name}的原手机对换绑提出异议。请尽快当面核对本人，并在“换绑异议”中处理。",
            f"The old phone of {name} objects to the change of phone. See the student in person and decide the objection.",
        ),
    )


def codes_exhausted_to_staff(name: str) -> NoticeText:
    """No more codes are sent to a student."""
    return NoticeText(
        Bilingual("学生绑定验证码申请过多", "Too many codes requested for a student"),
        Bilingual(
            f"有人多次为{name}申请绑定验证码，已暂停发送。如是本人操作，请当面核对后发放当面绑定码。",
            f"Codes to bind a phone were requested too often for {name}; no more are sent for now. If it is the student, check the"
            " identity in person and give a binding code.",
        ),
    )
