"""Why the positions of a check-in are not shown."""

from backend.core.errors import DomainError


class PositionPurposeNotAgreed(DomainError):
    """The student's newest consent about the position does not name this purpose, or was withdrawn."""

    code = "position_purpose_not_agreed"
    status = 409
    zh = "该学生没有同意把定位点用于办理提示和申诉，不能显示。请依据判定距离和其他证据办理。"
    en = (
        "The student has not agreed that positions are shown to decide prompts and appeals. "
        "Decide by the judged distance and the other evidence."
    )


class PositionsDeleted(DomainError):
    """The envelopes of all check-ins were emptied at the end of their retention period."""

    code = "positions_deleted"
    status = 410
    zh = "定位点已按保存期限删除，不能显示。请依据判定距离和其他证据办理。"
    en = (
        "The positions were deleted at the end of their retention period. "
        "Decide by the judged distance and the other evidence."
    )


class NoCheckInSent(DomainError):
    """The student sent no check-in in this roll call, so there is no position."""

    code = "no_check_in_sent"
    status = 409
    zh = "该学生在这次点名中没有提交过签到，没有定位点。请查看通知送达情况和其他证据。"
    en = (
        "The student sent no check-in in this roll call, so there is no position. "
        "See the delivery of the notice and the other evidence."
    )
