"""Errors of filings and of decisions on them."""

from backend.core.errors import DomainError
from geo.errors import GeoError


class SiteRefused(DomainError):
    """The outline cannot be filed; the sentence is that of the location library's error."""

    code = "site_refused"
    status = 422
    zh = "{zh}"
    en = "{en}"

    def __init__(self, cause: GeoError) -> None:
        super().__init__(zh=cause.sentence("zh"), en=cause.sentence("en"))
        self.cause = cause


class SiteTooDetailed(GeoError):
    """More vertices than policy permits; each costs time at every check-in."""

    code = "site_too_detailed"
    zh = "办学地址范围有 {vertices} 个顶点，超过上限 {max_vertices} 个，请简化轮廓。"
    en = "The site has {vertices} vertices, above the cap of {max_vertices}; simplify the outline."


class AreaExceptionTooLarge(DomainError):
    """More than policy lets a superior permit."""

    code = "area_exception_too_large"
    status = 422
    zh = "面积例外最多 {max_area_m2} 平方米。更大的校园请分成几处分别备案。"
    en = "An exception may permit at most {max_area_m2} m². File a larger campus as several sites."


class SiteNameTaken(DomainError):
    """The school already has a site of this name."""

    code = "site_name_taken"
    status = 409
    zh = "本校已有名为“{name}”的办学地址。要更改范围，请为它提交新版本。"
    en = "The school already has a site named “{name}”. To change its outline, file a new version of it."


class ValidityOrder(DomainError):
    """The filing would end before it starts."""

    code = "validity_order"
    status = 422
    zh = "失效时间须晚于生效时间，请更正。"
    en = "The filing must end after it starts; correct the times."


class AlreadyDecided(DomainError):
    """A filing is decided once; a change needs a new filing."""

    code = "already_decided"
    status = 409
    zh = "该备案已有审核结论，不能重复审核。如需变更，请学校提交新版本。"
    en = "This filing has been decided. For a change, the school must file a new version."


class OwnFiling(DomainError):
    """The account that filed a site cannot decide on it."""

    code = "own_filing"
    status = 403
    zh = "不能审核自己提交的备案，请由上级的另一账号审核。"
    en = "You cannot decide on your own filing; another account of the superior must."


class OpinionMissing(DomainError):
    """A rejection needs an opinion that tells the school what to correct."""

    code = "opinion_missing"
    status = 422
    zh = "驳回须填写理由，请说明学校应如何更正。"
    en = "A rejection needs an opinion; state what the school should correct."
