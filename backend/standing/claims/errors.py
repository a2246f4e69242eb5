"""Why a claim, an outage or a record of attendance is refused. Codes are stable; each sentence says what to do."""

from backend.core.errors import DomainError

# --- claims of a justified reason (readings 6 and 10) ---


class ClaimReasonUnknown(DomainError):
    code = "claim_reason_unknown"
    status = 422
    zh = "该理由不在正当理由目录内，请从目录中选择。"
    en = "That reason is not in the catalogue of justified reasons; choose one of it."


class ClaimReasonNeedsText(DomainError):
    code = "claim_reason_needs_text"
    status = 422
    zh = "选择该理由须写明具体情况，请补充。"
    en = "This reason needs a text that says what happened; add it."


class ClaimOfSchoolCheck(DomainError):
    """A miss of the school's own roll call leads to no prompt by its count."""

    code = "claim_of_school_check"
    status = 409
    zh = "正当理由只对上级发起的核验提出。校内点名请向辅导员说明。"
    en = "Reasons are claimed against a superior's check; for the school's own, speak to the counselor."


class ClaimTooEarly(DomainError):
    code = "claim_too_early"
    status = 409
    zh = "此次核验尚未结算，请在结果公布后再提出理由。"
    en = "This check is not settled yet; claim a reason once there is a result."


class ClaimOfNoMiss(DomainError):
    code = "claim_of_no_miss"
    status = 409
    zh = "此次核验未计为“未按时核验”，无须提出理由。"
    en = "This check does not count as a miss; there is nothing to claim."


class ClaimExists(DomainError):
    """A reason is claimed once; otherwise a refused one could be filed anew for ever to stop a decision."""

    code = "claim_exists"
    status = 409
    zh = "对此次核验已提出过理由。如不服处理结果，请提出申诉。"
    en = "A reason was claimed against this check before. If you disagree with the answer, appeal."


class ClaimCaseClosed(DomainError):
    """What was decided is not judged again by a claim (reading 14)."""

    code = "claim_case_closed"
    status = 409
    zh = "以此次核验为依据的提示已作出处理。如不服，请提出申诉。"
    en = "A prompt that rests on this check has been decided. If you disagree, appeal."


class ClaimDecided(DomainError):
    code = "claim_decided"
    status = 409
    zh = "该理由已有处理结果，不能更改。"
    en = "This claim was decided before and stays so."


# --- outages (reading 8) ---


class OutageTimesInvalid(DomainError):
    code = "outage_times_invalid"
    status = 422
    zh = "中断须已开始、结束时间须晚于开始时间且不晚于现在，请核对。"
    en = "An outage has begun already and ends after its beginning, not in the future; check the times."


class OutageTooLong(DomainError):
    code = "outage_too_long"
    status = 422
    zh = "一次申报的中断最长 {hours} 小时。更长的请分段申报。"
    en = "One declaration covers at most {hours} hours; declare what goes on for longer in parts."


class OutageDeclaredBefore(DomainError):
    """The same stretch is declared once by one side, so that a refused outage is not declared again."""

    code = "outage_declared_before"
    status = 409
    zh = "该单位在此时段已申报过中断，请查看原申报。"
    en = "An outage of this unit was declared for that time before; see that declaration."


class OutageOver(DomainError):
    code = "outage_over"
    status = 409
    zh = "该中断已有结束时间，不能更改。"
    en = "The end of this outage is known already and stays so."


class OutageDecided(DomainError):
    code = "outage_decided"
    status = 409
    zh = "该中断申报已有审核结果，不能更改。"
    en = "This outage was decided before and stays so."


# --- attendance (reading 5) ---


class AttendanceTimeInvalid(DomainError):
    code = "attendance_time_invalid"
    status = 422
    zh = "考勤时间须在过去 {days} 天之内且属于本学期，请核对。"
    en = "Attendance is recorded for an instant of the last {days} days within this term; check the time."


class AttendanceRecorded(DomainError):
    """Written down before, or presence stands at that very instant, which no absence contradicts."""

    code = "attendance_recorded"
    status = 409
    zh = "该时间点已有考勤记录。误记缺勤的，可在同一时间点补记在校。"
    en = "There is a record at that instant already. A mistaken absence is countered by presence at the same instant."
