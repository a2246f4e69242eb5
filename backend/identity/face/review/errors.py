"""Errors about portraits in review and replaced faces."""

from backend.core.errors import DomainError


class ReplacementPending(DomainError):
    """A new face of the student waits for the approval of two persons."""

    code = "face_replacement_pending"
    status = 409
    zh = "新采集的人脸正在由两人审核，请等待结果；期间按原方式或由辅导员核验。"
    en = "Your new face waits for the approval of two persons. Until then you are verified as before, or by your counselor."


class ReplacementClosed(DomainError):
    """The replacement is decided, or this side has answered."""

    code = "face_replacement_closed"
    status = 409
    zh = "该人脸更换申请已有结论，或本方（学校／上级）已经审核过。请刷新列表。"
    en = (
        "This replacement is decided, or your side (school or superior) has answered it. Load the list again."
    )


class ReplacementNotSeen(DomainError):
    """The school approves a new face only after seeing the student."""

    code = "face_replacement_not_seen"
    status = 422
    zh = "学校同意更换前，须当面将学生本人与新照片核对（seen_in_person）。"
    en = "Before the school approves, compare the student in person with the new pictures (seen_in_person)."


class PortraitDecided(DomainError):
    """The portrait is not in review."""

    code = "portrait_decided"
    status = 409
    zh = "该证件照不在待审核状态（已有结论，或已被新照片替换）。请刷新列表。"
    en = "This portrait is not waiting for a decision: it is decided or was replaced. Load the list again."
