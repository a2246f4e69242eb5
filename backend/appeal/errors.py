"""Errors of acts on appeals. Codes are stable; each message says what to do."""

from backend.core.errors import DomainError


class AppealClosed(DomainError):
    """Decided or withdrawn appeals accept no further acts."""

    code = "appeal_closed"
    status = 409
    zh = "这件申诉已经结束（已决定或已撤回），不能再操作。被驳回的，可在期限内向上一级申诉一次。"
    en = "This appeal is closed (decided or withdrawn). A rejected appeal can go to the next level once, within the deadline."


class NotTheDecidingUnit(DomainError):
    code = "not_the_deciding_unit"
    status = 403
    zh = "这件申诉由 {unit} 受理，您的单位只能查看。"
    en = "{unit} decides this appeal; your unit can only read it."


class ConflictOfInterest(DomainError):
    """No account decides on its own acts, or twice on the same matter (invariant 9)."""

    code = "conflict_of_interest"
    status = 403
    zh = (
        "您参与过被申诉的核验、认定或决定，或已在前一级作出过决定，不能决定这件申诉。请由本单位其他人员办理。"
    )
    en = "You took part in the matter under appeal or already decided it at an earlier level. A colleague must decide this appeal."


class FindingMissing(DomainError):
    code = "appeal_finding_missing"
    status = 422
    zh = "对核验结果的申诉成立的，须认定为“到场”或“免计”。请补充认定。"
    en = "Upholding an appeal against a result requires a finding: present or excused. Add it."


class FindingNotAsked(DomainError):
    code = "appeal_finding_not_asked"
    status = 422
    zh = "只有对核验结果的申诉成立时才有认定项，请去掉。"
    en = "Only an upheld appeal against a result has a finding. Remove it."


class CheckVoided(DomainError):
    """A voided roll call cannot be passed."""

    code = "appealed_check_voided"
    status = 409
    zh = "该次核验已作废，不能认定为到场。请认定为“免计”，或驳回。"
    en = "This roll call was voided and cannot be found present. Use the finding excused, or reject the appeal."


class MessagesExhausted(DomainError):
    code = "appeal_messages_exhausted"
    status = 429
    zh = "这件申诉中您一方已发送 {limit} 条消息，不能再发送。请等待决定。"
    en = "Your side has sent the maximum of {limit} messages in this appeal. Wait for the decision."


class EligibleAlready(DomainError):
    code = "gaokao_eligible_already"
    status = 409
    zh = "学生在 {on} 具备 {exam_year} 年报名资格，无须申诉。"
    en = "The student is eligible for the gaokao of {exam_year} on {on}. No appeal is needed."


class NotThisGaokao(DomainError):
    """Only eligibility for the upcoming examination, on a day up to today, can be appealed."""

    code = "not_this_gaokao"
    status = 422
    zh = "只能就 {exam_year} 年的报名资格提出申诉，日期须在该报考年度内且不晚于今天。"
    en = "Only eligibility for the gaokao of {exam_year} can be appealed. The date must lie in its year and not in the future."


class DayToCome(DomainError):
    code = "eligibility_day_to_come"
    status = 422
    zh = "不能查询将来日期的报名资格，请选择今天或以前的日期。"
    en = "Eligibility on a future date is not known. Choose today or an earlier date."
