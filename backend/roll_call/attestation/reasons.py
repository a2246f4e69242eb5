"""Why a student is attested in person instead of checking in by phone: codes with their words."""

from enum import StrEnum

from backend.core.bilingual import Bilingual


class AttestationReason(StrEnum):
    """The codes; `other` needs a text. To add one: add a member and its words, and extend the check constraint."""

    NON_FACE_ROUTE = "non_face_route"
    PHONE_BROKEN = "phone_broken"
    NO_SMARTPHONE = "no_smartphone"
    CAMERA_BROKEN = "camera_broken"
    NEW_PHONE = "new_phone"
    FACE_UNSURE = "face_unsure"
    POSITION_UNSURE = "position_unsure"
    DISABILITY = "disability"
    OTHER = "other"


REASON_WORDS: dict[AttestationReason, Bilingual] = {
    AttestationReason.NON_FACE_ROUTE: Bilingual("选择非人脸方式", "chose the way without a face"),
    AttestationReason.PHONE_BROKEN: Bilingual("手机损坏", "phone broken"),
    AttestationReason.NO_SMARTPHONE: Bilingual("无智能手机", "no smartphone"),
    AttestationReason.CAMERA_BROKEN: Bilingual("摄像头损坏", "camera broken"),
    AttestationReason.NEW_PHONE: Bilingual("刚换手机", "new phone"),
    AttestationReason.FACE_UNSURE: Bilingual("人脸不能确认", "face not confirmed"),
    AttestationReason.POSITION_UNSURE: Bilingual("定位不准", "position not precise enough"),
    AttestationReason.DISABILITY: Bilingual("行动不便", "disability"),
    AttestationReason.OTHER: Bilingual("其他", "other"),
}


def describe_reason(code: AttestationReason, text: str | None) -> str:
    """The reason as it is recorded: the text that was entered, or the Chinese words of the code."""
    return text or REASON_WORDS[code].zh
