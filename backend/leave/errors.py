"""Why leave is refused. Codes are stable; each sentence says what to do."""

from backend.core.errors import DomainError


class LeaveIntervalInvalid(DomainError):
    code = "leave_interval_invalid"
    status = 422
    zh = "结束时间须晚于开始时间，请核对起止日期和上下午。"
    en = "The end must come after the beginning; check the days and halves."


class LeaveOverlaps(DomainError):
    """One stretch of time is asked for once; more days are a request of their own."""

    code = "leave_overlaps"
    status = 409
    zh = "{starts_at} 至 {ends_at} 已有请假申请。请调整时间，或先撤销原申请。"
    en = "You have asked for leave from {starts_at} to {ends_at} already; change the time or cancel that request first."


class LeaveDecided(DomainError):
    code = "leave_decided"
    status = 409
    zh = "这份请假已经审批过，结果不能更改。如需结束假期，请销假或撤销。"
    en = "This leave was decided before and stays so. To end it, record the return or cancel it."


class LeaveOpinionMissing(DomainError):
    code = "leave_opinion_missing"
    status = 422
    zh = "不批准请假须写明理由，请补充。"
    en = "Declining leave needs a reason; add it."


class LeaveOver(DomainError):
    """Declined, cancelled, ended by the return or by its end: there is nothing to take back."""

    code = "leave_over"
    status = 409
    zh = "这份请假已结束（未批准、已撤销、已销假或已到期），无须再操作。"
    en = "This leave is over (declined, cancelled, returned from or past its end); there is nothing more to do."


class LeaveBegun(DomainError):
    code = "leave_begun"
    status = 409
    zh = "假期已开始，不能撤销。返校后请销假。"
    en = "The leave has begun and cannot be cancelled; record your return when you are back."


class LeaveNotBegun(DomainError):
    code = "leave_not_begun"
    status = 409
    zh = "请假尚未批准或尚未开始，不能销假。不再需要时请撤销。"
    en = "The leave is not approved or has not begun; cancel it if it is not needed."


class ReturnTimeInvalid(DomainError):
    code = "return_time_invalid"
    status = 422
    zh = "返校时间须在假期开始之后、当前时间之前，请核对。"
    en = "The return lies after the beginning of the leave and not in the future; check the time."


class StandInUnfit(DomainError):
    code = "stand_in_unfit"
    status = 422
    zh = "代审人须是本校另一名已激活的辅导员，且代审时段须在将来结束。请重新选择。"
    en = "A stand-in is another active counselor of the school, for a time that is not over; choose again."


class StandInOver(DomainError):
    code = "stand_in_over"
    status = 409
    zh = "该代审安排已结束，无须再操作。"
    en = "This stand-in is over; there is nothing more to do."
