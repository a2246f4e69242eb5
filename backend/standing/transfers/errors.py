"""Errors of quarantined enrolments and transfers. Codes are stable; each message says what to do."""

from backend.core.errors import DomainError


class QuarantineClosed(DomainError):
    code = "quarantine_closed"
    status = 409
    zh = "这条重复学籍待核记录已核定，不能再次处理。情况有变的，请学校改正后重新导入。"
    en = "This quarantined row was decided already. If the facts changed, the school corrects the row and imports it again."


class NotOverBothSchools(DomainError):
    """One school's superior alone must not decide against the other school."""

    code = "not_over_both_schools"
    status = 403
    zh = "涉及的两所学校不都由您单位主管，须由“{unit}”核定。"
    en = "Your unit is not above both schools; “{unit}” decides."
