"""Errors of registration. Codes are stable; each message says what to do."""

from backend.core.errors import DomainError


class PermissionTooLong(DomainError):
    """The last day is not within the period for which a superior may open a school."""

    code = "carry_over_permission_too_long"
    status = 422
    zh = "补录截止日应在 {first} 至 {last} 之间，请重新选择。"
    en = "Choose a last day from {first} to {last}."
