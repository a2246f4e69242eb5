"""Errors of acts on prompts. Codes are stable; each message says what to do."""

from backend.core.errors import DomainError


class RecordUnderReview(DomainError):
    """The stored record no longer follows from the facts. A person must review it before anyone acts."""

    code = "record_under_review"
    status = 409
    zh = "该生的学籍记录正在人工复核，暂不能处理。请待复核结束后重试，或联系系统管理员。"
    en = "This student's record is under manual review. Try again after the review, or contact the administrator."


# --- the state of the prompt ---


class DismissalPending(DomainError):
    code = "dismissal_pending"
    status = 409
    zh = "学校已申请撤销该提示，正等上级答复。请等待答复。"
    en = "The school has dismissed this prompt and the superior has not answered yet. Wait for the answer."


class PromptDecided(DomainError):
    code = "prompt_decided"
    status = 409
    zh = "该提示已作出处理决定，不能重复处理。如有异议，请通过申诉解决。"
    en = "This prompt has been decided and cannot be decided again. To contest the decision, file an appeal."


class PromptExecuted(DomainError):
    code = "prompt_executed"
    status = 409
    zh = "处理期限已届满，系统已按规定自动执行。如需更正，请上级撤回执行，或由学生、学校申诉。"
    en = "The deadline has passed and the proposed outcome was executed. The superior can reverse it; the student or the school can appeal."


class PromptDismissed(DomainError):
    code = "prompt_dismissed"
    status = 409
    zh = "该提示已因正当理由撤销，无须再操作。"
    en = "This prompt was dismissed for a justified reason. No action is needed."


class PromptWithdrawn(DomainError):
    code = "prompt_withdrawn"
    status = 409
    zh = "该提示的依据已不成立，提示已收回，无须再操作。"
    en = "This prompt was withdrawn because its basis no longer holds. No action is needed."


class ForRegistrarToDecide(DomainError):
    code = "for_registrar_to_decide"
    status = 409
    zh = "该提示尚在学校处理期限内，由学校管理员处理。请督促学校办理。"
    en = (
        "This prompt is still within the school's deadline and its registrar decides. Urge the school to act."
    )


class ForSuperiorToDecide(DomainError):
    code = "for_superior_to_decide"
    status = 409
    zh = "处理期限已届满，该提示已转由上级处理。请联系上级主管部门。"
    en = "The deadline has passed and the superior decides this prompt. Contact the superior authority."


class NoDismissalPending(DomainError):
    code = "no_dismissal_pending"
    status = 409
    zh = "没有待答复的撤销申请：可能已答复，或提示已结束。请刷新后查看。"
    en = "No dismissal is waiting for an answer: it was answered, or the prompt is closed. Reload the prompt."


class OwnDismissal(DomainError):
    """An account never approves its own request (invariant 9)."""

    code = "own_dismissal"
    status = 403
    zh = "不能答复自己提出的撤销申请，请由其他人员答复。"
    en = "You cannot answer your own dismissal. Another member of staff must answer it."


# --- the content of the decision ---


class UnknownOutcome(DomainError):
    code = "unknown_outcome"
    status = 422
    zh = "处理结果“{outcome}”不在规定之列。请从以下选择：{outcomes}；或 dismiss（有正当理由，撤销提示）。"
    en = "There is no outcome “{outcome}”. Choose one of: {outcomes}; or dismiss."


class ReasonsRequired(DomainError):
    code = "reasons_required"
    status = 422
    zh = "所选结果与提示建议不同，须写明理由，请补充。"
    en = "An outcome other than the proposed one requires reasons. Add them."


class BlockersUnanswered(DomainError):
    """A sanction despite a blocker of the automatic execution needs reasons that answer it (reading 25)."""

    code = "blockers_unanswered"
    status = 422
    zh = "该提示尚有未了结的事项：{blockers_zh}。如仍要作出处理，请在理由中逐项说明；上级会收到通知。"
    en = (
        "Matters of this prompt are still open: {blockers_en}. To decide nevertheless, answer each of them in the reasons; "
        "the superior is notified."
    )


class ReasonNotInCatalogue(DomainError):
    code = "reason_not_in_catalogue"
    status = 422
    zh = "撤销提示须认定目录中的正当理由。请从以下选择：{reasons}。"
    en = "A dismissal requires a justified reason from the catalogue. Choose one of: {reasons}."


class ReasonNeedsText(DomainError):
    code = "reason_needs_text"
    status = 422
    zh = "所选正当理由须附文字说明，请补充。"
    en = "This reason requires an explanation. Add it."


# --- the evidence of a sanction (invariant 7) ---


class PromptNotDelivered(DomainError):
    code = "prompt_not_delivered"
    status = 409
    zh = "提示尚未签收，不能作出处理。请先签收该提示，再处理。"
    en = "The receipt of this prompt is not on record. Confirm the receipt first, then decide."


class NoticeUndelivered(DomainError):
    """The notice of a roll call did not reach the student with the minimum window still left."""

    code = "notice_undelivered"
    status = 409
    zh = "以下核验的通知未及时送达学生，不能据此处理：{checks_zh}。请核实送达情况；确未送达的，请撤销该提示。"
    en = (
        "The notice of these roll calls did not reach the student in time, so they cannot support a decision: {checks_en}. "
        "Check the delivery; if there was none, dismiss the prompt."
    )


class EvidenceIncomplete(DomainError):
    code = "incomplete_evidence"
    status = 409
    zh = "证据不齐，不能作出处理。缺少：{missing_zh}。请补齐后再处理；无法补齐的，请撤销该提示。"
    en = "The evidence is incomplete and cannot support a decision. Missing: {missing_en}. Complete it, or dismiss the prompt."


class EvidenceNotMissing(DomainError):
    code = "evidence_not_missing"
    status = 409
    zh = "该项证据并不缺少，无须补充。请刷新后查看。"
    en = "This part of the evidence is not missing. Reload the prompt."


class EvidenceAlreadyComplete(DomainError):
    """Only a prompt with missing evidence can be closed; any other is decided or dismissed."""

    code = "evidence_complete"
    status = 409
    zh = "该提示证据齐全，不能以证据不足结束。确有正当理由的，请由学校申请撤销。"
    en = "The evidence of this prompt is complete, so it cannot be closed. With a justified reason, the school can dismiss it."


class NoticeTimeInvalid(DomainError):
    """A delivery outside the time of the roll call, or too late for the student to take part, proves nothing."""

    code = "notice_time_invalid"
    status = 422
    zh = "送达时间须在通知发出之后，且距核验截止至少 {minutes} 分钟，否则不能证明学生及时知晓。请核对。"
    en = "The delivery must lie after the notice was sent and at least {minutes} minutes before the close. Check the time."


class NoLateLeave(DomainError):
    code = "no_late_leave"
    status = 409
    zh = "没有待答复的补请假：可能已答复，或该请假与本提示无关。请刷新后查看。"
    en = "No late leave is waiting for an answer: it was answered, or it does not concern this prompt. Reload the prompt."


# --- delivery ---


class DeliveryTimeInvalid(DomainError):
    code = "delivery_time_invalid"
    status = 422
    zh = "送达时间须在提示发出之后、当前时间之前，请核对。"
    en = "The delivery must lie after the prompt was raised and not in the future. Check the time."


class DeliveryTooOld(DomainError):
    """A deadline must not end before the delivery is recorded: the registrar would have had no time at all."""

    code = "delivery_too_old"
    status = 422
    zh = "按该送达时间计算，处理期限已经届满，学校将没有时间处理。请按现在送达登记。"
    en = "With this delivery time the deadline would already have passed. Record the delivery as of now."


# --- reversals ---


class ReversalTargetNotInForce(DomainError):
    code = "change_not_in_force"
    status = 409
    zh = "该异动已被撤销或恢复，无须再撤回。"
    en = "This change has already been reversed or restored. There is nothing to reverse."


class ChangeNotAutomatic(DomainError):
    code = "change_not_automatic"
    status = 409
    zh = "该异动由人员作出决定，不能直接撤回。请通过申诉解决。"
    en = "A person decided this change, so it cannot be reversed directly. File an appeal."


OBJECTION_ERRORS: dict[str, type[DomainError]] = {
    "prompt_dismissal_pending": DismissalPending,
    "prompt_decided": PromptDecided,
    "prompt_executed": PromptExecuted,
    "prompt_dismissed": PromptDismissed,
    "prompt_withdrawn": PromptWithdrawn,
    "for_registrar_to_decide": ForRegistrarToDecide,
    "for_superior_to_decide": ForSuperiorToDecide,
    "no_dismissal_pending": NoDismissalPending,
    "own_dismissal": OwnDismissal,
    "unknown_outcome": UnknownOutcome,
    "reasons_required": ReasonsRequired,
    "blockers_unanswered": BlockersUnanswered,
    "reason_not_in_catalogue": ReasonNotInCatalogue,
    "reason_needs_text": ReasonNeedsText,
    "prompt_not_delivered": PromptNotDelivered,
    "notice_undelivered": NoticeUndelivered,
    "incomplete_evidence": EvidenceIncomplete,
}
"""The error of each objection of the decision rules."""
