"""Why an act on aid is refused. Codes are stable; each sentence says what to do."""

from dataclasses import dataclass
from typing import Any

from backend.core.errors import DomainError


class AidAlreadyApplied(DomainError):
    code = "aid_already_applied"
    status = 409
    zh = "本学期已申请过该项资助，每学期只能申请一次。请查看原申请的进度。"
    en = "This aid was applied for this term already; once a term is enough. See how that application stands."


class AidDeadlinePassed(DomainError):
    code = "aid_deadline_passed"
    status = 409
    zh = "本学期资助申报审批已于 {last_day} 截止，逾期不补。请下学期再申请。"
    en = "Aid of this term closed on {last_day} and takes no late entry. Apply again next term."


class AidIneligible(DomainError):
    """MOE19-3.5: every condition that is missing is named."""

    code = "aid_ineligible"
    status = 409
    zh = "不符合资助条件：{reasons_zh}如与实际不符，请先更正学籍信息。"
    en = "Not eligible for aid: {reasons_en} If that is wrong, have the record corrected first."


class AidApplicationDecided(DomainError):
    code = "aid_application_decided"
    status = 409
    zh = "这份资助申请已经审批过，结果不能更改。"
    en = "This application for aid was decided before, and stays so."


class AidReasonsMissing(DomainError):
    code = "aid_reasons_missing"
    status = 422
    zh = "不批准资助申请须写明理由，请补充。"
    en = "Refusing an application for aid needs reasons; add them."


@dataclass(frozen=True, slots=True)
class Objection:
    """Why one line of payments cannot be recorded: which line, which field, what it says, and what to do."""

    line: int
    field: str
    value: str
    code: str
    zh: str
    en: str


class AidPaymentsUnfit(DomainError):
    """Payments are recorded all together or not at all; `objections` name every line."""

    code = "aid_payments_unfit"
    status = 422
    zh = "有 {lines} 行发放记录存在问题，未登记任何一笔。请按所列问题改正后重新提交。"
    en = "{lines} lines of payments have faults; nothing was recorded. Correct what is listed and send all again."

    def __init__(self, objections: tuple[Objection, ...] = (), **params: Any) -> None:
        self.objections = objections
        super().__init__(**params)

    @classmethod
    def of(cls, objections: tuple[Objection, ...]) -> "AidPaymentsUnfit":
        return cls(objections, lines=len({each.line for each in objections}))


class AidFileEmpty(DomainError):
    code = "aid_file_empty"
    status = 422
    zh = "表中没有发放记录，请填写后重试。"
    en = "There is no payment in the file; fill it in and try again."


class AidNotExported(DomainError):
    code = "aid_not_exported"
    status = 409
    zh = "这份申请尚未导出报送，不能签收。请先由学校导出并报送。"
    en = (
        "This filing has not been sent yet and cannot be acknowledged. The school exports and sends it first."
    )


class AidAcknowledged(DomainError):
    code = "aid_acknowledged"
    status = 409
    zh = "这份申请已签收，编号不能更改。"
    en = "This filing was acknowledged before; its reference stays."


class AidNothingToExport(DomainError):
    code = "aid_nothing_to_export"
    status = 409
    zh = "没有可导出的撤回或恢复申请。请先在列表中核对。"
    en = "There is no withdrawal or reinstatement to export. Look at the list first."


class AidExportUnapproved(DomainError):
    """MOE14-5: no file leaves without purpose, owner and approval."""

    code = "aid_export_unapproved"
    status = 409
    zh = "这次导出尚未经他人批准，不能下载。请本校另一名管理员或上级批准。"
    en = "This export is not approved by anybody else yet. Another registrar or a superior approves it first."


class AidExportApproved(DomainError):
    code = "aid_export_approved"
    status = 409
    zh = "这次导出已经批准过。"
    en = "This export was approved before."
