"""Errors of units and terms."""

from backend.core.errors import BadInput, DomainError


class CodeTaken(DomainError):
    """A unit of this kind already has the code."""

    code = "code_taken"
    status = 409
    zh = "代码 {unit_code} 已被使用，请核对；同一学校不能重复建立。"
    en = "The code {unit_code} is already in use. Check it: a unit is created only once."


class ParentUnfit(DomainError):
    """A school reports to an authority, never to another school."""

    code = "parent_unfit"
    status = 422
    zh = "上级应为教育行政部门（省、市或县），请另选上级。"
    en = "The parent must be an authority (province, city or county); choose another."


class CountyUnfit(DomainError):
    """The code is not that of a county that reports to a city."""

    code = "county_unfit"
    status = 422
    zh = "{county_code} 不是设区市所属县（市、区）的代码，请核对行政区划代码。"
    en = "{county_code} is not the code of a county under a city. Check the division code."


class TermNotSet(DomainError):
    """Neither the school nor a unit above it has a term that includes the day."""

    code = "term_not_set"
    status = 409
    zh = "{day} 不在任何学期内。请学校或上级教育行政部门先设置覆盖该日的学期。"
    en = "No term includes {day}. The school or an authority above it must first open a term that does."


class TermUnknown(BadInput):
    """The unit has no term with this code."""

    code = "term_unknown"
    status = 422
    zh = "没有代码为“{code}”的学期，请在学期列表中选择。"
    en = "There is no term with the code “{code}”; choose one from the list of terms."


class DaysInTwoTerms(DomainError):
    """A window must be within one term, because misses are counted by term (reading 3)."""

    code = "days_in_two_terms"
    status = 422
    zh = "{first} 与 {last} 不在同一学期，请把时段放在一个学期之内。"
    en = "{first} and {last} are in different terms. Choose a period within one term."


class TermOverlaps(DomainError):
    """The unit already has a term on some of these days, or with the same code."""

    code = "term_overlaps"
    status = 409
    zh = "与本单位已有学期的日期或代码重复，请核对起止日期。"
    en = "The unit already has a term on some of these days or with this code. Check the dates."


class TermsBusy(DomainError):
    """The partitions of a new term cannot be created while a roll call is being launched."""

    code = "terms_busy"
    status = 503
    zh = "系统正在发起点名，暂时不能设置新学期，请几分钟后重试。"
    en = "A roll call is being launched, so no term can be opened now. Try again in a few minutes."


class TermContradictsSuperior(DomainError):
    """A unit cannot divide a term of its superior, because misses are counted by term."""

    code = "term_contradicts_superior"
    status = 409
    zh = "上级已设学期“{term_code}”（{starts_on} 至 {ends_on}）。本单位同期学期须使用相同代码，只能调整起止日期。"
    en = (
        "A superior has the term “{term_code}” ({starts_on} to {ends_on}). Your own term on those days must have "
        "the same code; only its dates may differ."
    )


class TermOrder(DomainError):
    """The days are in the wrong order, or a vacation is outside its term."""

    code = "term_order"
    status = 422
    zh = "日期有误：学期须先开始后结束，假期须在学期之内。"
    en = "The dates are wrong: a term must end after it starts, and a vacation must be within its term."
