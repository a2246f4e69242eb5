"""Errors for the user: a stable code, an HTTP status, and a sentence in Chinese and English that says what to do."""

from typing import Any, ClassVar


class DomainError(Exception):
    """An error that the user can act on.

    A subclass sets `code` (never changed), `status` (HTTP) and the sentences `zh` and `en`, which are format strings
    over the keyword arguments of the instance. The arguments are shown to the user, so they never contain an ID
    number, a face template or another person's data.
    """

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    zh: ClassVar[str] = "系统内部错误，请稍后重试。"
    en: ClassVar[str] = "Internal error; please try again later."

    def __init__(self, **params: Any) -> None:
        self.params = params
        super().__init__(self.sentence("en"))

    def sentence(self, language: str) -> str:
        """The sentence in `zh` or `en`."""
        template = self.zh if language.startswith("zh") else self.en
        return template.format(**self.params)


class NotFound(DomainError):
    """The record does not exist or is not visible to the caller. One error for both, so that it discloses nothing."""

    code = "not_found"
    status = 404
    zh = "没有找到，或您无权查看。请核对编号。"
    en = "Not found, or not yours to see. Check the identifier."


class NotPermitted(DomainError):
    """The caller may see the record but not perform this action."""

    code = "not_permitted"
    status = 403
    zh = "您的账号不能执行此操作：{reason_zh}"
    en = "Your account may not do this: {reason_en}"


class BadInput(DomainError):
    """The value of a field cannot be used."""

    code = "bad_input"
    status = 422
    zh = "“{field}”的值无法使用：{reason_zh}"
    en = "The value of “{field}” cannot be used: {reason_en}"


class Conflict(DomainError):
    """The current state of the record does not allow this action."""

    code = "conflict"
    status = 409
    zh = "当前状态不允许此操作：{reason_zh}"
    en = "The current state does not allow this: {reason_en}"
