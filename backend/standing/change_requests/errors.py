"""Errors of change requests. Codes are stable; each message says what to do."""

from backend.core.errors import DomainError


class ChangeKindUnknown(DomainError):
    code = "change_kind_unknown"
    status = 422
    zh = "没有代码为“{change_kind}”的异动类别，请从异动类别表中选择。"
    en = "There is no change kind “{change_kind}”. Choose one from the list of change kinds."


class ChangeUnfit(DomainError):
    """The change kind does not apply to the current status, such as a return of a student who attends."""

    code = "change_unfit"
    status = 409
    zh = "学生当前为学籍状态 {standing}、学习形式 {study_form}，不能办理“{change_zh}”。请核对后重新选择异动类别。"
    en = "The current standing is {standing} and the study form {study_form}, so “{change_en}” does not apply. Check the record and choose another change kind."


class NothingChanges(DomainError):
    code = "nothing_changes"
    status = 409
    zh = "学籍已经是该状态，无须办理异动。"
    en = "The record already has this status. No change is needed."


class ChangeOpen(DomainError):
    """One open request per student, so that no unit approves a change of a status that is about to change."""

    code = "change_open"
    status = 409
    zh = "该生已有一份异动申请在办理中。请等待其办结，或先撤回。"
    en = "A change request for this student is open. Wait until it is closed, or withdraw it first."


class ChangeClosed(DomainError):
    code = "change_closed"
    status = 409
    zh = "这份异动申请已办结，不能再审核、补充材料或撤回。如需再次异动，请另行申请。"
    en = "This request is closed. File a new request for another change."


class NotYourTurn(DomainError):
    """The levels give their opinions one after the other."""

    code = "not_your_turn"
    status = 409
    zh = "这份异动申请目前由 {level} 级审核，尚未到您单位或您单位已审核。"
    en = "The {level} level is reviewing this request: your unit's review is not due yet or already done."


class OwnRequest(DomainError):
    """An account never approves its own request (invariant 9)."""

    code = "own_request"
    status = 403
    zh = "不能审核本人提交的异动申请，请由另一名学籍管理员审核。"
    en = "You filed this request and cannot review it. Another registrar must."


class ChangeOpinionMissing(DomainError):
    code = "change_opinion_missing"
    status = 422
    zh = "不同意异动须写明意见，请补充。"
    en = "A refusal requires an opinion. Add it."


class LockedSinceFiled(DomainError):
    """A verification locked the record after filing; the chain of this request lacks the province (HN334-4.1c)."""

    code = "locked_since_filed"
    status = 409
    zh = "申请提交后，该生学籍因核验异动被锁定，须逐级报省教育厅批准。请学校撤回本申请，重新申报。"
    en = (
        "After this request was filed, a verification locked the record: a change now needs the approval of every level up to"
        " the province. The school must withdraw this request and file a new one."
    )


class StandingBeforeRecord(DomainError):
    """A past status is reproduced from the ledger, never guessed."""

    code = "standing_before_record"
    status = 409
    zh = "该生学籍自 {since} 起在本系统建档，此前的状态无从查证。"
    en = "This record exists since {since}; the status before that is unknown."


class TransferInByRoster(DomainError):
    """A record is opened by the roster of the new school; an existing student cannot be transferred in."""

    code = "transfer_in_by_roster"
    status = 409
    zh = "转入不通过异动申请办理：请由原学校办理转出，再由转入学校在花名册中导入该生，或由共同的上级核定重复学籍。"
    en = (
        "A transfer in is not filed as a change request: the earlier school transfers the student out, then the new school"
        " imports the student by its roster; or the authority above both schools decides on the quarantined row."
    )
