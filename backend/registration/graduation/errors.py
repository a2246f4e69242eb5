"""Errors of graduation. Codes are stable; each message says what to do."""

from collections.abc import Iterable

from backend.core.bilingual import Bilingual
from backend.core.errors import DomainError
from backend.registration.graduation.rules import Blocker

BLOCKER_WORDS = {
    Blocker.AID_UNDECIDED: Bilingual("有资助申请尚未审批", "an application for aid is not decided"),
    Blocker.AID_UNPAID: Bilingual("有应发未发的资助", "aid that is due is not paid"),
    Blocker.AID_UNFILED: Bilingual(
        "有资助撤回未获资助部门确认", "the aid office has not confirmed a withdrawal"
    ),
    Blocker.STANDING: Bilingual("学籍状态不是在读或复学", "the student is not attending"),
    Blocker.OPEN_PROMPT: Bilingual("有学籍提示未处理", "a prompt is open"),
    Blocker.OPEN_APPEAL: Bilingual("有申诉未决定", "an appeal is open"),
    Blocker.NO_PHOTOGRAPH: Bilingual("没有通过审核的证件照", "no accepted ID portrait is on file"),
}


class GraduationTooEarly(DomainError):
    code = "graduation_too_early"
    status = 409
    zh = "毕业手续从 {first_day} 起办理（离校前规定的工作日内）。请到时再办，或更正离校日期。"
    en = "Graduation is processed from {first_day} on. Wait until then, or correct the day of leaving."


class GraduationBlocked(DomainError):
    """Something is missing; the sentence names all of it."""

    code = "graduation_blocked"
    status = 409
    zh = "暂不能办理毕业：{missing_zh}。请先办结。"
    en = "The student cannot graduate yet: {missing_en}. Settle this first."

    def __init__(self, blockers: Iterable[Blocker]) -> None:
        words = [BLOCKER_WORDS[each] for each in blockers]
        super().__init__(
            missing_zh="；".join(each.zh for each in words), missing_en="; ".join(each.en for each in words)
        )


class CertificateNumberTaken(DomainError):
    code = "certificate_number_taken"
    status = 409
    zh = "证书编号 {number} 已用于本校另一名学生，请核对。"
    en = "The certificate number {number} belongs to another student of the school. Check it."
