"""Errors of reason claims and of attendance records. Codes are stable; each message says what to do."""

from backend.core.errors import DomainError

# --- claims of a justified reason (readings 6 and 10) ---


class ClaimReasonUnknown(DomainError):
    code = "claim_reason_unknown"
    status = 422
    zh = "该理由不在正当理由目录内，请从目录中选择。"
    en = "This reason is not in the catalogue of justified reasons. Choose one from the catalogue."


class ClaimReasonNeedsText(DomainError):
    code = "claim_reason_needs_text"
    status = 422
    zh = "选择该理由须写明具体情况，请补充。"
    en = "This reason requires a text that describes what happened. Add it."


class ClaimOfSchoolCheck(DomainError):
    """Misses of the school's own roll calls do not count towards a prompt."""

    code = "claim_of_school_check"
    status = 409
    zh = "正当理由只对上级发起的核验提出。校内点名请向辅导员说明。"
    en = "Reasons can only be claimed for roll calls launched by a superior. For the school's own roll calls, contact the counselor."


class ClaimTooEarly(DomainError):
    code = "claim_too_early"
    status = 409
    zh = "此次核验尚未结算，请在结果公布后再提出理由。"
    en = "This roll call is not settled yet. Claim a reason once there is a result."


class ClaimOfNoMiss(DomainError):
    code = "claim_of_no_miss"
    status = 409
    zh = "此次核验未计为“未按时核验”，无须提出理由。"
    en = "This roll call does not count as a miss. No claim is needed."


class ClaimExists(DomainError):
    """One claim per miss; otherwise a refused claim could be filed again and again to block a decision."""

    code = "claim_exists"
    status = 409
    zh = "对此次核验已提出过理由。如不服处理结果，请提出申诉。"
    en = "A reason has already been claimed for this roll call. To contest the answer, file an appeal."


class ClaimCaseClosed(DomainError):
    """A claim does not reopen a decided prompt (reading 14)."""

    code = "claim_case_closed"
    status = 409
    zh = "以此次核验为依据的提示已作出处理。如不服，请提出申诉。"
    en = "A prompt based on this roll call has been decided. To contest the decision, file an appeal."


class ClaimDecided(DomainError):
    code = "claim_decided"
    status = 409
    zh = "该理由已有处理结果，不能更改。"
    en = "This claim has already been decided and cannot be changed."


# --- attendance (reading 5) ---


class AttendanceTimeInvalid(DomainError):
    code = "attendance_time_invalid"
    status = 422
    zh = "考勤时间须在过去 {days} 天之内且属于本学期，请核对。"
    en = "Attendance must lie within the last {days} days and within this term. Check the time."


class AttendanceRecorded(DomainError):
    """The instant already has the same record, or a record of presence, which absence cannot override."""

    code = "attendance_recorded"
    status = 409
    zh = "该时间点已有考勤记录。误记缺勤的，可在同一时间点补记在校。"
    en = "There is already a record at this instant. To correct a mistaken absence, record presence at the same instant."
