"""Texts of the notices of aid. They never contain the reason, and notices to staff never name the student.

Other people may see the screen of a phone.
"""

from backend.aid.money import format_yuan
from backend.core.bilingual import Bilingual, term_words
from backend.notice.messages import NoticeText

KINDS = {
    "grant": Bilingual("国家助学金", "grant"),
    "tuition_waiver": Bilingual("免学费", "tuition waiver"),
}


def application_decided_to_student(kind: str, term_code: str, *, approved: bool) -> NoticeText:
    outcome = Bilingual("已批准", "approved") if approved else Bilingual("未批准", "refused")
    aid, term = KINDS[kind], term_words(term_code)
    return NoticeText(
        Bilingual(f"资助申请{outcome.zh}", f"Application for aid {outcome.en}"),
        Bilingual(
            f"您{term.zh}的{aid.zh}申请{outcome.zh}。各月金额和理由请在应用中查看。",
            f"Your {aid.en} for the {term.en} was {outcome.en}. See the app for the monthly amounts and the reasons.",
        ),
    )


def withdrawn_to_student(term_code: str, fen: int) -> NoticeText:
    term, amount = term_words(term_code), format_yuan(fen)
    return NoticeText(
        Bilingual("资助撤回", "Aid withdrawn"),
        Bilingual(
            f"{term.zh}尚未发放的资助共 {amount} 元已按规定撤回，已发放部分不变。原因和申诉办法请在应用中查看。",
            f"The unpaid aid for the {term.en}, {amount} yuan, has been withdrawn. Payments already made are not"
            " affected. See the app for the reason and how to appeal.",
        ),
    )


def reinstated_to_student(term_code: str, fen: int) -> NoticeText:
    term, amount = term_words(term_code), format_yuan(fen)
    return NoticeText(
        Bilingual("资助恢复", "Aid reinstated"),
        Bilingual(
            f"原撤回的{term.zh}资助共 {amount} 元已恢复，将继续发放。",
            f"The withdrawn aid for the {term.en}, {amount} yuan, has been reinstated and will be paid.",
        ),
    )


STAFF_VERBS = {
    "withdrawal": (Bilingual("撤回", "withdrawn"), "Withdrawal"),
    "reinstatement": (Bilingual("恢复", "reinstated"), "Reinstatement"),
}


def filing_to_staff(kind: str, term_code: str, fen: int) -> NoticeText:
    """`kind`: `withdrawal` or `reinstatement`."""
    verb, noun = STAFF_VERBS[kind]
    term, amount = term_words(term_code), format_yuan(fen)
    return NoticeText(
        Bilingual(f"待报送的资助{verb.zh}", f"{noun} of aid to export"),
        Bilingual(
            f"一名学生{term.zh}的资助 {amount} 元已{verb.zh}。请导出并报送资助管理部门。",
            f"{amount} yuan of a student's aid for the {term.en} has been {verb.en}. Export and submit the filing.",
        ),
    )
