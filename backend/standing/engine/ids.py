"""Ids of prompts, warnings and ledger entries.

An id is a UUID computed from content, so assessing twice produces the same rows and storing twice stores once
(invariant 8).
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import NAMESPACE_URL, uuid5

from backend.standing.engine.trace import encode_canonical

NAMESPACE = uuid5(NAMESPACE_URL, "https://dianming.example/standing")


def derived_id(noun: str, content: object) -> str:
    """The UUID of a kind of thing with this content."""
    return str(uuid5(NAMESPACE, f"{noun}:{encode_canonical(content)}"))


def prompt_id(student_id: str, kind: str, term: str, evidence: Sequence[str], raised_at: datetime) -> str:
    return derived_id("prompt", (student_id, kind, term, evidence, raised_at))


def warning_id(student_id: str, code: str, term: str, facts: Sequence[str]) -> str:
    return derived_id("warning", (student_id, code, term, facts))
