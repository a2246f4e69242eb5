"""Kinds of leave, declared once: API values, the database constraint and the reason that late leave states."""

from enum import StrEnum


class LeaveKind(StrEnum):
    """事假 personal, 病假 sick, 其他 other.

    To add a kind: add a member here, extend `CLAIM_REASONS` if the policy's catalogue of justified reasons
    (`misses.justified_reasons`) has one for it, and change the check constraint by a migration.
    """

    PERSONAL = "personal"
    SICK = "sick"
    OTHER = "other"


KINDS_TEXT = "事假 personal, 病假 sick, 其他 other"
"""The kinds as API documents describe them."""

CLAIM_REASONS: dict[LeaveKind, str] = {LeaveKind.SICK: "illness"}
"""The justified reason that late leave of a kind states (reading 6). Other kinds state `other` with a text."""
