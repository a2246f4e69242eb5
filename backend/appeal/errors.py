"""Why an act on an appeal is refused. Codes are stable; each sentence says what to do."""

from backend.core.errors import DomainError


class AppealClosed(DomainError):
    """Decided or withdrawn: nothing is added to it."""

    code = "appeal_closed"
    status = 409
    zh = "这件申诉已经结束（已决定或已撤回），不能再操作。被驳回的，可在期限内向上一级申诉一次。"
    en = "This appeal is over (decided or withdrawn). A rejected one can be carried one level up in time, once."


class NotTheDecidingUnit(DomainError):
    code = "not_the_deciding_unit"
    status = 403
    zh = "这件申诉由 {unit} 受理，您的单位只能查看。"
    en = "This appeal is decided by {unit}; your unit may only read it."


class ConflictOfInterest(DomainError):
    """Nobody judges what they themselves did, nor twice on one matter (invariant 9)."""

    code = "conflict_of_interest"
    status = 403
    zh = (
        "您参与过被申诉的核验、认定或决定，或已在前一级作出过决定，不能决定这件申诉。请由本单位其他人员办理。"
    )
    en = "You took part in what is appealed against, or decided on it before; a colleague must decide this appeal."


class FindingMissing(DomainError):
    code = "appeal_finding_missing"
    status = 422
    zh = "对核验结果的申诉成立的，须认定为“到场”或“免计”。请补充认定。"
    en = "Upholding an appeal against a result needs a finding: present or excused. Add it."


class FindingNotAsked(DomainError):
    code = "appeal_finding_not_asked"
    status = 422
    zh = "只有对核验结果的申诉成立时才有认定项，请去掉。"
    en = "A finding belongs only to an upheld appeal against a result; leave it out."


class CheckVoided(DomainError):
    """A voided check has no pass to give."""

    code = "appealed_check_voided"
    status = 409
    zh = "该次核验已作废，不能认定为到场。请认定为“免计”，或驳回。"
    en = "This roll call was voided, so nobody was present in it. Find excused, or reject."


class MessagesExhausted(DomainError):
    code = "appeal_messages_exhausted"
    status = 429
    zh = "这件申诉中您一方已发送 {limit} 条消息，不能再发送。请等待决定。"
    en = "Your side has sent {limit} messages in this appeal; wait for the decision."


class EligibleAlready(DomainError):
    code = "gaokao_eligible_already"
    status = 409
    zh = "学生在 {on} 具备 {exam_year} 年报考资格，无须申诉。"
    en = "The student is eligible for the gaokao of {exam_year} on {on}; there is nothing to appeal."


class NotThisGaokao(DomainError):
    """Eligibility is appealed for the examination that is coming up, on a day that has come."""

    code = "not_this_gaokao"
    status = 422
    zh = "只能就 {exam_year} 年的报考资格提出申诉，日期须在该报考年度内且不晚于今天。"
    en = "Only eligibility for the gaokao of {exam_year} can be appealed, on a day of its year up to today."


class DayToCome(DomainError):
    code = "eligibility_day_to_come"
    status = 422
    zh = "不能查询将来日期的报考资格，请选择今天或以前的日期。"
    en = "Eligibility on a day to come is not known; ask for today or an earlier day."
