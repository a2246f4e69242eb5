"""Errors of acts on outages (reading 8). Codes are stable; each message says what to do."""

from backend.core.errors import DomainError


class OutageTimesInvalid(DomainError):
    code = "outage_times_invalid"
    status = 422
    zh = "中断须已开始、结束时间须晚于开始时间且不晚于现在，请核对。"
    en = "An outage must have started, and its end must lie after its start and not in the future. Check the times."


class OutageTooLong(DomainError):
    code = "outage_too_long"
    status = 422
    zh = "一次申报的中断最长 {hours} 小时。更长的请分段申报。"
    en = "One declaration covers at most {hours} hours. Declare a longer outage in parts."


class OutageDeclaredBefore(DomainError):
    """One unit declares a period once, so that a refused outage cannot be declared again."""

    code = "outage_declared_before"
    status = 409
    zh = "该单位在此时段已申报过中断，请查看原申报。"
    en = "An outage of this unit has already been declared for this period. See that declaration."


class OutageOver(DomainError):
    code = "outage_over"
    status = 409
    zh = "该中断已有结束时间，不能更改。"
    en = "The end of this outage is already recorded and cannot be changed."


class OutageDecided(DomainError):
    code = "outage_decided"
    status = 409
    zh = "该中断申报已有审核结果，不能更改。"
    en = "This outage has already been decided and cannot be changed."
