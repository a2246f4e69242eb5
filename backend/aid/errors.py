"""Errors of aid. Codes are stable; each message says what to do."""

from dataclasses import dataclass
from typing import Any

from backend.core.errors import DomainError


class AidAlreadyApplied(DomainError):
    code = "aid_already_applied"
    status = 409
    zh = "本学期已申请过该项资助，每学期只能申请一次。请查看原申请的进度。"
    en = "You have already applied for this aid this term; only one application per term is allowed. Check its status."


class AidDeadlinePassed(DomainError):
    code = "aid_deadline_passed"
    status = 409
    zh = "本学期资助申报审批已于 {last_day} 截止，逾期不补。请下学期再申请。"
    en = "The deadline for aid of this term was {last_day}. Late applications are not accepted. Apply again next term."


class AidIneligible(DomainError):
    """MOE19-3.5: the message names every missing condition."""

    code = "aid_ineligible"
    status = 409
    zh = "不符合资助条件：{reasons_zh}如与实际不符，请先更正学籍信息。"
    en = "Not eligible for aid: {reasons_en} If this is wrong, have the student record corrected first."


class AidApplicationDecided(DomainError):
    code = "aid_application_decided"
    status = 409
    zh = "这份资助申请已经审批过，结果不能更改。"
    en = "This application has already been decided; the decision cannot be changed."


class AidReasonsMissing(DomainError):
    code = "aid_reasons_missing"
    status = 422
    zh = "不批准资助申请须写明理由，请补充。"
    en = "Reasons are required to refuse an application for aid. Add them."


@dataclass(frozen=True, slots=True)
class PaymentIssue:
    """Why one line of payments cannot be recorded: line, field, value, code, and a text in each language."""

    line: int
    field: str
    value: str
    code: str
    zh: str
    en: str


class AidPaymentsUnfit(DomainError):
    """Payments are recorded all together or not at all; `issues` names every invalid line."""

    code = "aid_payments_unfit"
    status = 422
    zh = "有 {lines} 行发放记录存在问题，未登记任何一笔。请按所列问题改正后重新提交。"
    en = "{lines} lines have errors; no payment was recorded. Correct the listed errors and submit all lines again."

    def __init__(self, issues: tuple[PaymentIssue, ...] = (), **params: Any) -> None:
        self.issues = issues
        super().__init__(**params)

    @classmethod
    def from_issues(cls, issues: tuple[PaymentIssue, ...]) -> "AidPaymentsUnfit":
        return cls(issues, lines=len({issue.line for issue in issues}))


class AidFileEmpty(DomainError):
    code = "aid_file_empty"
    status = 422
    zh = "表中没有发放记录，请填写后重试。"
    en = "The file contains no payments. Fill it in and try again."


class AidNotExported(DomainError):
    code = "aid_not_exported"
    status = 409
    zh = "这份申请尚未导出报送，不能签收。请先由学校导出并报送。"
    en = "This filing has not been exported yet and cannot be acknowledged. The school exports and sends it first."


class AidAcknowledged(DomainError):
    code = "aid_acknowledged"
    status = 409
    zh = "这份申请已签收，编号不能更改。"
    en = "This filing has already been acknowledged; its reference cannot be changed."


class AidNothingToExport(DomainError):
    code = "aid_nothing_to_export"
    status = 409
    zh = "没有可导出的撤回或恢复申请。请先在列表中核对。"
    en = "There is no withdrawal or reinstatement to export. Check the list first."


class AidExportTooLarge(DomainError):
    """A search finds more filings than one file holds."""

    code = "aid_export_too_large"
    status = 409
    zh = "符合条件的超过 {limit} 条，一份文件放不下。请再加筛选条件，例如按学校，分几次导出。"
    en = "More than {limit} filings match, too many for one file. Filter further, for example by school, and export several files."


class AidExportUnapproved(DomainError):
    """MOE14-5: a file is downloaded only with a purpose, an owner and an approval."""

    code = "aid_export_unapproved"
    status = 409
    zh = "这次导出尚未经他人批准，不能下载。请本校另一名管理员或上级批准。"
    en = "This export has not been approved by a second person. Ask another registrar or a superior to approve it."


class AidExportApproved(DomainError):
    code = "aid_export_approved"
    status = 409
    zh = "这次导出已经批准过。"
    en = "This export has already been approved."
