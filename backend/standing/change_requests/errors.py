"""Why a change of the record is refused. Codes are stable; each sentence says what to do."""

from backend.core.errors import DomainError


class ChangeKindUnknown(DomainError):
    code = "change_kind_unknown"
    status = 422
    zh = "没有代码为“{change_kind}”的异动类别，请从异动类别表中选择。"
    en = "There is no kind of change “{change_kind}”; choose one of the list."


class ChangeUnfit(DomainError):
    """A kind that cannot come from the present status, such as a return of somebody who attends."""

    code = "change_unfit"
    status = 409
    zh = "学生当前为学籍状态 {standing}、学习形式 {study_form}，不能办理“{change_zh}”。请核对后重新选择异动类别。"
    en = "The record stands at {standing}, {study_form}; “{change_en}” cannot follow. Check it and choose another kind."


class NothingChanges(DomainError):
    code = "nothing_changes"
    status = 409
    zh = "学籍已经是该状态，无须办理异动。"
    en = "The record is so already; there is nothing to change."


class ChangeOpen(DomainError):
    """One request of a student at a time, so that nobody approves on a status that is about to change."""

    code = "change_open"
    status = 409
    zh = "该生已有一份异动申请在办理中。请等待其办结，或先撤回。"
    en = "A request for this student is under way; wait for its end, or withdraw it first."


class ChangeClosed(DomainError):
    code = "change_closed"
    status = 409
    zh = "这份异动申请已办结，不能再审核或撤回。如需再次异动，请另行申请。"
    en = "This request has ended. For another change, file another request."


class NotYourTurn(DomainError):
    """The report climbs level by level; each gives its opinion when it is there."""

    code = "not_your_turn"
    status = 409
    zh = "这份异动申请目前由 {level} 级审核，尚未到您单位或您单位已审核。"
    en = "The request is with the {level} now: not yet, or no longer, with your unit."


class OwnRequest(DomainError):
    """Who asks never approves (invariant 9)."""

    code = "own_request"
    status = 403
    zh = "不能审核本人提交的异动申请，请由另一名学籍管理员审核。"
    en = "You filed this request; another registrar decides on it."


class ChangeOpinionMissing(DomainError):
    code = "change_opinion_missing"
    status = 422
    zh = "不同意异动须写明意见，请补充。"
    en = "A refusal needs an opinion; add it."


class LockedSinceFiled(DomainError):
    """A change after a verification has locked the record since; this request did not climb for that (HN334-4.1c)."""

    code = "locked_since_filed"
    status = 409
    zh = "申请提交后，该生学籍因核验异动被锁定，须逐级报省教育厅批准。请学校撤回本申请，重新申报。"
    en = (
        "Since this was filed, a verification has locked the record: a change must climb to the province."
        " Let the school withdraw the request and file it anew."
    )


class StandingBeforeRecord(DomainError):
    """A status is answered from what is on file, never guessed."""

    code = "standing_before_record"
    status = 409
    zh = "该生学籍自 {since} 起在本系统建档，此前的状态无从查证。"
    en = "The record is on file from {since}; of the time before nothing is known here."
