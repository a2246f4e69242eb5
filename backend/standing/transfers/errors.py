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


class RecordLocked(DomainError):
    """After a change by a verification, every further change is filed level by level up to the province (HN334-4.1c)."""

    code = "transfer_of_locked_record"
    status = 409
    zh = (
        "该生学籍因核验异动被锁定，转出须由现学校提交异动申请，逐级报省教育厅批准。批准后由转入学校重新导入。"
    )
    en = (
        "A verification has locked this record: its school files the transfer out as a change request, which every level up to"
        " the province approves. The new school then imports the student again."
    )


class StudentNumberTaken(DomainError):
    code = "student_number_taken"
    status = 409
    zh = "该行的学号已属于转入学校的另一名学生。请转入学校撤回本行，改正学号后重新导入。"
    en = (
        "The student number of this row belongs to another student of the new school. The school withdraws the row, corrects"
        " the number and imports it again."
    )
