"""Errors of guardians' links. The 401s carry a `WWW-Authenticate` challenge (RFC 9110)."""

from backend.core.errors import DomainError
from backend.identity.errors import Unauthenticated

SCHEME = "Guardian"


class GuardianLinkMissing(Unauthenticated):
    """The request has no token of a link."""

    code = "guardian_link_missing"
    scheme = SCHEME
    zh = "请从短信中的链接打开本页。"
    en = "Open this page from the link in the SMS."


class GuardianLinkInvalid(Unauthenticated):
    """No link has this token."""

    code = "guardian_link_invalid"
    scheme = SCHEME
    challenge = "invalid_token"
    zh = "链接无效。请从短信中完整打开链接；如仍不行，请联系孩子的辅导员。"
    en = "The link is not valid. Open the whole link from the SMS; if that fails, call the counselor."


class GuardianLinkExpired(Unauthenticated):
    """The period of the link is over."""

    code = "guardian_link_expired"
    scheme = SCHEME
    challenge = "invalid_token"
    zh = "链接已过期。有新的情况时您会收到新的链接；现在需要了解情况，请联系孩子的辅导员。"
    en = "The link has expired. The next event brings a new one; to learn more now, call the counselor."


class GuardianLinkRevoked(Unauthenticated):
    """The consent was withdrawn, or the roster names the guardian otherwise or no more."""

    code = "guardian_link_revoked"
    scheme = SCHEME
    challenge = "invalid_token"
    zh = "链接已停用：学生撤回了同意，或学校名册中的监护人信息有变更。请与孩子或辅导员联系。"
    en = (
        "The link no longer works: the student withdrew the consent, or the school's roster changed. Talk to your child or"
        " call the counselor."
    )


class TooManyLinkRequests(DomainError):
    """The link was used too often within a minute."""

    code = "too_many_link_requests"
    status = 429
    zh = "操作过于频繁，请在 {wait_s} 秒后重试。"
    en = "Too many requests with this link; try again in {wait_s} seconds."

    def __init__(self, *, wait_s: int) -> None:
        self.headers = {"Retry-After": str(wait_s)}
        super().__init__(wait_s=wait_s)


class GuardianOfAdult(DomainError):
    """The student is of age, so the guardian may read and not act."""

    code = "guardian_of_adult"
    status = 403
    zh = "学生已满 {age} 周岁，须由本人在应用中办理；您可以查看。"
    en = "The student is {age} or older and must do this in the app; you may read."


class GuardianAppealOnly(DomainError):
    """The student filed this appeal; its messages are not for the guardian."""

    code = "guardian_appeal_only"
    status = 403
    zh = "这件申诉由学生本人提出，往来消息只有学生能看和写；您可以和孩子一起在应用中查看。"
    en = "The student filed this appeal, so only the student reads and writes its messages; look at it together in the app."
