"""Errors of looks. Codes are stable; each sentence says what to do."""

from backend.core.errors import DomainError


class LookAnswered(DomainError):
    """A request is answered once."""

    code = "look_answered"
    status = 409
    zh = "这项照片核对已有答复，无须再答。"
    en = "This look was answered already; you do not need to do anything."


class LookEnded(DomainError):
    """The request expired, the student has a result by other means, or a consent was withdrawn."""

    code = "look_ended"
    status = 409
    zh = "这项照片核对已结束（已到期、已有结果或学生撤回了同意），照片不再显示。请刷新列表。"
    en = (
        "This look has ended: it expired, the student has a result, or withdrew the consent. Reload the list."
    )


class LookTakenBySame(DomainError):
    """Four eyes: the person attested the student, or answered for the student before."""

    code = "look_needs_another_person"
    status = 409
    zh = "您在本次核验中已为该生现场核验或答复过，须由另一人核对照片。"
    en = "You attested this student or answered for the student in this roll call; another person must look."


class LookPictureNotReady(DomainError):
    """Uploaded bytes are shown to people only after they were re-encoded."""

    code = "look_picture_not_ready"
    status = 409
    zh = "照片正在处理，请一分钟后再打开。"
    en = "The picture is being processed; open it again in a minute."


class LookPicturesNotSeen(DomainError):
    """An answer counts only if the person has opened the pictures."""

    code = "look_pictures_not_seen"
    status = 409
    zh = "请先打开核验照片和证件照，再作答复。"
    en = "Open the pictures and the ID portrait first, then answer."
