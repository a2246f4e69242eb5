"""Errors of phone changes. Codes are stable; each message says what to do."""

from backend.core.errors import DomainError


class PhoneNotBound(DomainError):
    """Before a phone is bound, the roster alone states the number."""

    code = "phone_not_bound"
    status = 409
    zh = "该生从未绑定手机，联系电话无须确认。请在花名册中改正后重新导入。"
    en = "The student never bound a phone, so the number needs no confirmation. Correct it in the roster and import it again."


class PhoneUnchanged(DomainError):
    code = "phone_unchanged"
    status = 409
    zh = "该号码已经是学生的联系电话，无须变更。"
    en = "This is already the student's phone number. No change is needed."


class PhoneChangeClosed(DomainError):
    code = "phone_change_closed"
    status = 409
    zh = "这项联系电话变更已办结，不能再次处理。如需再变更，请学校重新提出。"
    en = "This change of the phone number is closed. For another change, the school must propose it again."


class PhoneChangeInCoolDown(DomainError):
    """A person who took over a phone must not be able to change the number as well."""

    code = "phone_change_in_cool_down"
    status = 409
    zh = "本机绑定未满冷静期，{until} 之后才能确认联系电话变更。急需变更的，请学校联系上级教育部门核准。"
    en = (
        "This phone was bound recently and can confirm a change of the phone number only after {until}."
        " If it is urgent, the school can ask its superior to approve it."
    )
