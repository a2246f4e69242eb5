"""Why an act on a prompt is refused. Codes are stable; each sentence says what to do."""

from backend.core.errors import DomainError


class RecordUnderReview(DomainError):
    """What is stored of the student no longer follows from the facts; a person must look before anybody acts."""

    code = "record_under_review"
    status = 409
    zh = "该生的学籍记录正在人工复核，暂不能处理。请待复核结束后重试，或联系系统管理员。"
    en = (
        "This student's record is being reviewed by a person; try again afterwards, or ask the administrator."
    )


# --- whose turn it is ---


class DismissalPending(DomainError):
    code = "dismissal_pending"
    status = 409
    zh = "学校已申请撤销该提示，正等上级答复。请等待答复。"
    en = "A dismissal of this prompt waits for the superior's answer; wait for it."


class PromptDecided(DomainError):
    code = "prompt_decided"
    status = 409
    zh = "该提示已作出处理决定，不能重复处理。如有异议，请通过申诉解决。"
    en = "This prompt is decided already. Whoever disagrees appeals."


class PromptExecuted(DomainError):
    code = "prompt_executed"
    status = 409
    zh = "处理期限已届满，系统已按规定自动执行。如需更正，请上级撤回执行，或由学生、学校申诉。"
    en = "The deadline has ended and the law was applied. The superior may take it back; the student or school may appeal."


class PromptDismissed(DomainError):
    code = "prompt_dismissed"
    status = 409
    zh = "该提示已因正当理由撤销，无须再操作。"
    en = "This prompt was dismissed; there is nothing more to do."


class PromptWithdrawn(DomainError):
    code = "prompt_withdrawn"
    status = 409
    zh = "该提示的依据已不成立，提示已收回，无须再操作。"
    en = "What this prompt rested on is gone and it was withdrawn; there is nothing more to do."


class ForRegistrarToDecide(DomainError):
    code = "for_registrar_to_decide"
    status = 409
    zh = "该提示尚在学校处理期限内，由学校管理员处理。请督促学校办理。"
    en = "The school's registrar decides this prompt now; urge the school."


class ForSuperiorToDecide(DomainError):
    code = "for_superior_to_decide"
    status = 409
    zh = "处理期限已届满，该提示已转由上级处理。请联系上级主管部门。"
    en = "The deadline has ended and the superior decides this prompt now; ask the superior."


class NoDismissalPending(DomainError):
    code = "no_dismissal_pending"
    status = 409
    zh = "没有待答复的撤销申请：可能已答复，或提示已结束。请刷新后查看。"
    en = "No dismissal waits for an answer: it was answered, or the prompt has ended. Look at the prompt again."


class OwnDismissal(DomainError):
    """Who asks never approves (invariant 9)."""

    code = "own_dismissal"
    status = 403
    zh = "不能答复自己提出的撤销申请，请由其他人员答复。"
    en = "Nobody answers their own dismissal; leave it to another member of staff."


# --- what the decision says ---


class UnknownOutcome(DomainError):
    code = "unknown_outcome"
    status = 422
    zh = "处理结果“{outcome}”不在规定之列。请从以下选择：{outcomes}；或 dismiss（有正当理由，撤销提示）。"
    en = "The law knows no outcome “{outcome}”. Choose one of: {outcomes}; or dismiss."


class ReasonsRequired(DomainError):
    code = "reasons_required"
    status = 422
    zh = "所选结果与提示建议不同，须写明理由，请补充。"
    en = "An outcome other than the proposed one needs reasons; add them."


class ReasonNotInCatalogue(DomainError):
    code = "reason_not_in_catalogue"
    status = 422
    zh = "撤销提示须认定目录中的正当理由。请从以下选择：{reasons}。"
    en = "A dismissal needs a justified reason of the catalogue. Choose one of: {reasons}."


class ReasonNeedsText(DomainError):
    code = "reason_needs_text"
    status = 422
    zh = "所选正当理由须附文字说明，请补充。"
    en = "This reason needs an explanation in words; add it."


# --- what a sanction rests on (invariant 7) ---


class PromptNotDelivered(DomainError):
    code = "prompt_not_delivered"
    status = 409
    zh = "提示尚未签收，不能作出处理。请先签收该提示，再处理。"
    en = "The receipt of this prompt is not on record yet; confirm that you received it, then decide."


class NoticeUndelivered(DomainError):
    """A check's notice did not reach the student with at least the minimum window left."""

    code = "notice_undelivered"
    status = 409
    zh = "以下核验的通知未及时送达学生，不能据此处理：{checks_zh}。请核实送达情况；确未送达的，请撤销该提示。"
    en = (
        "The notice of these checks did not reach the student in time, so nothing can rest on them: {checks_en}. "
        "Look into its delivery; where there was none, dismiss the prompt."
    )


class EvidenceIncomplete(DomainError):
    code = "incomplete_evidence"
    status = 409
    zh = "证据不齐，不能作出处理。缺少：{missing_zh}。请补齐后再处理；无法补齐的，请撤销该提示。"
    en = "The evidence is incomplete, so nothing can rest on it. Missing: {missing_en}. Complete it, or dismiss the prompt."


# --- delivery ---


class DeliveryTimeInvalid(DomainError):
    code = "delivery_time_invalid"
    status = 422
    zh = "送达时间须在提示发出之后、当前时间之前，请核对。"
    en = "The receipt lies after the prompt was raised and not in the future; check the time."


class DeliveryTooOld(DomainError):
    """A deadline that nobody knew of must not end in the past: the registrar would never have had it."""

    code = "delivery_too_old"
    status = 422
    zh = "按该送达时间计算，处理期限已经届满，学校将没有时间处理。请按现在送达登记。"
    en = "Counted from then, the deadline would be over already. Record the delivery as of now."


# --- taking an execution back ---


class ChangeNotInForce(DomainError):
    code = "change_not_in_force"
    status = 409
    zh = "该异动已被撤销或恢复，无须再撤回。"
    en = "This change was reversed already; there is nothing to take back."


class ChangeNotAutomatic(DomainError):
    code = "change_not_automatic"
    status = 409
    zh = "该异动由人员作出决定，不能直接撤回。请通过申诉解决。"
    en = "A person decided this change; it is undone by an appeal, not by taking it back."


REFUSALS: dict[str, type[DomainError]] = {
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
    "reason_not_in_catalogue": ReasonNotInCatalogue,
    "reason_needs_text": ReasonNeedsText,
    "prompt_not_delivered": PromptNotDelivered,
    "notice_undelivered": NoticeUndelivered,
    "incomplete_evidence": EvidenceIncomplete,
}
"""How each objection of the rules is told."""
