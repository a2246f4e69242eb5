"""Texts of the notices of change requests. They contain no reason and no name."""

from backend.core.bilingual import Bilingual
from backend.notice.messages import NoticeText
from backend.standing.change_requests.policy import ChangeKind, RequestState

END_PHRASES = {
    RequestState.AGREED: Bilingual("已批准并生效", "was approved and is in effect"),
    RequestState.REFUSED: Bilingual("未获批准", "was refused"),
    RequestState.WITHDRAWN: Bilingual("已由学校撤回", "was withdrawn by the school"),
}


def waiting_to_staff(kind: ChangeKind) -> NoticeText:
    return NoticeText(
        Bilingual("学籍异动申请待审核", "A change request is waiting for you"),
        Bilingual(
            f"一份“{kind.zh}”异动申请等待您单位审核，请在系统中查看。",
            f"A request for a change of standing ({kind.en}) is waiting for your unit's opinion.",
        ),
    )


def filed_to_student(kind: ChangeKind) -> NoticeText:
    return NoticeText(
        Bilingual("学校已提交学籍异动申请", "Your school has requested a change of your standing"),
        Bilingual(
            f"学校为您提交了“{kind.zh}”异动申请，正在审核。如有疑问，请联系辅导员。",
            f"Your school has requested a change of your standing ({kind.en}). It is under review."
            " If you have questions, contact your counselor.",
        ),
    )


def closed_to_student(state: RequestState, kind: ChangeKind) -> NoticeText:
    """Also sent to the registrars. `state` is one of `END_PHRASES`."""
    end = END_PHRASES[state]
    return NoticeText(
        Bilingual(f"学籍异动申请{end.zh}", f"A change of standing {end.en}"),
        Bilingual(
            f"“{kind.zh}”异动申请{end.zh}。", f"The request for a change of standing ({kind.en}) {end.en}."
        ),
    )
