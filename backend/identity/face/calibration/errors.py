"""Errors about rehearsals and learned thresholds."""

from backend.core.errors import DomainError


class NotARehearsal(DomainError):
    """Only the check-ins of a rehearsal are confirmed."""

    code = "not_a_rehearsal"
    status = 409
    zh = "该核验不是联调测试，不能确认其签到。请选择本校的联调测试。"
    en = "This roll call is no rehearsal, so its check-ins are not confirmed. Choose a rehearsal of your school."


class RehearsalStillOpen(DomainError):
    """Check-ins may still come in."""

    code = "rehearsal_still_open"
    status = 409
    zh = "联调测试尚未结束。请在 {closes_at} 之后确认。"
    en = "The rehearsal is still open. Confirm it after {closes_at}."


class RehearsalAlreadyConfirmed(DomainError):
    """Each class confirms a rehearsal once."""

    code = "rehearsal_already_confirmed"
    status = 409
    zh = "该班本次联调测试已经确认过。如需补充，请另行组织一次联调测试。"
    en = "This class has confirmed the rehearsal. If something is missing, run another rehearsal."


class StudentNotInRehearsal(DomainError):
    """An excluded student has no check-in in the rehearsal."""

    code = "student_not_in_rehearsal"
    status = 422
    zh = "被排除的学生没有本次联调测试的签到。请刷新列表后重试。"
    en = "An excluded student has no check-in in this rehearsal. Load the list again."


class ThresholdNotProposed(DomainError):
    """The version is in force, or a newer one exists."""

    code = "face_threshold_not_proposed"
    status = 409
    zh = "该阈值版本已生效，或已有更新的版本。请刷新列表，审核最新的版本。"
    en = "This version is in force, or there is a newer one. Load the list again and decide on the newest."
