"""Why an appeal is refused. Codes are stable; each sentence says what to do."""

from backend.core.errors import DomainError


class NoResultYet(DomainError):
    code = "no_result_yet"
    status = 409
    zh = "该次核验尚无结果。请在截止并结算后再提出申诉；如有正当理由，现在可以先说明。"
    en = "This roll call has no result yet. Appeal after it is settled; you can already give a justified reason."


class NothingToAppeal(DomainError):
    """The result is present or excused, so an appeal could not improve it."""

    code = "nothing_to_appeal"
    status = 409
    zh = "该结果对学生没有不利影响，无须申诉。"
    en = "This result does not count against the student; there is nothing to appeal."


class ChangeNotInForce(DomainError):
    """Only a sanction that has not been reversed can be overturned."""

    code = "appealed_change_not_in_force"
    status = 409
    zh = "该异动已被撤销，或不是因提示作出的处理，不能申诉。需要更正学籍的，请由学校办理异动申请。"
    en = "This change was reversed, or was not caused by a prompt. To correct the record, the school files a change request."


class AppealTooLate(DomainError):
    code = "appeal_too_late"
    status = 409
    zh = "申诉期限已于 {last_day} 届满。如据此作出了新的处理，可对该处理提出申诉。"
    en = "The period for this appeal ended on {last_day}. If a later decision is based on it, appeal against that decision."


class AlreadyAppealed(DomainError):
    code = "already_appealed"
    status = 409
    zh = "同一事项已提出过申诉，不能重复提出。请在原申诉中补充材料；被驳回的，可向上一级申诉一次。"
    en = "This matter was already appealed. Add to that appeal; if it was rejected, appeal to the next level once."


class PreviousNotRejected(DomainError):
    """Only a rejection can be taken to the next level, not an open, upheld or withdrawn appeal."""

    code = "previous_not_rejected"
    status = 409
    zh = "只有被驳回的申诉才能向上一级提出。请查看原申诉的状态。"
    en = "Only a rejected appeal can be taken to the next level. Check the state of the earlier appeal."


class AlreadyCarriedUp(DomainError):
    code = "already_carried_up"
    status = 409
    zh = "该申诉已向上一级提出过，请查看上一级的申诉。"
    en = "This appeal was already taken to the next level; see the appeal there."


class AppealExhausted(DomainError):
    code = "appeal_exhausted"
    status = 409
    zh = "同一事项最多由 {levels} 级受理，申诉程序已经结束。"
    en = "At most {levels} levels decide on one matter; no further appeal is possible."
