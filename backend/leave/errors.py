"""Errors of leave requests and stand-ins. Codes are stable; each sentence says what to do."""

from backend.core.errors import DomainError


class LeaveIntervalInvalid(DomainError):
    code = "leave_interval_invalid"
    status = 422
    zh = "结束时间须晚于开始时间，请核对起止日期和上下午。"
    en = "The end must be after the start. Check the dates and half days."


class LeaveOverlaps(DomainError):
    """The interval overlaps a pending or approved request of the same student."""

    code = "leave_overlaps"
    status = 409
    zh = "{starts_at} 至 {ends_at} 已有请假申请。请调整时间，或先撤销原申请。"
    en = "You already requested leave from {starts_at} to {ends_at}. Change the time, or cancel that request first."


class LeaveAlreadyDecided(DomainError):
    code = "leave_decided"
    status = 409
    zh = "这份请假已经审批过，结果不能更改。如需结束假期，请销假或撤销。"
    en = "This leave has already been decided. To end it, record the return or cancel it."


class LeaveOpinionMissing(DomainError):
    code = "leave_opinion_missing"
    status = 422
    zh = "不批准请假须写明理由，请补充。"
    en = "Declining leave requires a reason. Add one."


class LeaveOver(DomainError):
    """The leave was declined or cancelled, or has ended."""

    code = "leave_over"
    status = 409
    zh = "这份请假已结束（未批准、已撤销、已销假或已到期），无须再操作。"
    en = "This leave has ended (declined, cancelled, returned or past its end). No action is needed."


class LeaveBegun(DomainError):
    code = "leave_begun"
    status = 409
    zh = "假期已开始，不能撤销。返校后请销假。"
    en = "The leave has started and cannot be cancelled. Record your return when you are back."


class LeaveNotBegun(DomainError):
    code = "leave_not_begun"
    status = 409
    zh = "请假尚未批准或尚未开始，不能销假。不再需要时请撤销。"
    en = "The leave is not approved or has not started. Cancel it if you no longer need it."


class ReturnTimeInvalid(DomainError):
    code = "return_time_invalid"
    status = 422
    zh = "返校时间须在假期开始之后、当前时间之前，请核对。"
    en = "The return must be after the start of the leave and not in the future. Check the time."


class StandInUnfit(DomainError):
    code = "stand_in_unfit"
    status = 422
    zh = "代审人须是本校另一名已激活的辅导员，且代审时段须在将来结束。请重新选择。"
    en = "The stand-in must be another active counselor of the school, and the period must end in the future. Choose again."


class StandInOver(DomainError):
    code = "stand_in_over"
    status = 409
    zh = "该代审安排已结束，无须再操作。"
    en = "This stand-in has already ended. No action is needed."
