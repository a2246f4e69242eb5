"""The parts of every explanation, and the kinds of readers."""

from dataclasses import dataclass
from enum import StrEnum

from backend.core.bilingual import Bilingual
from backend.standing.explanations.citations import Figure, Reference

NOTHING_TO_DO = Bilingual("您现在不需要做什么。", "You do not need to do anything now.")
HELP = Bilingual(
    "有不明白的地方，可以请辅导员或学校管理员当面说明。",
    "If anything is unclear, ask your counselor or the registrar to explain it in person.",
)


@dataclass(frozen=True, slots=True)
class FactLine:
    """A fact that the result rests on; `key` is its key in the trace (`check:…`, `leave:…`, …)."""

    key: str
    words: Bilingual


@dataclass(frozen=True, slots=True)
class Explanation:
    """A result in plain language, in both languages."""

    title: Bilingual
    paragraphs: tuple[Bilingual, ...]
    facts: tuple[FactLine, ...]
    figures: tuple[Figure, ...]
    next_steps: tuple[Bilingual, ...]
    references: tuple[Reference, ...]


class Reader(StrEnum):
    """The kinds of readers, which differ in what they can do now."""

    STUDENT = "student"
    COUNSELOR = "counselor"
    REGISTRAR = "registrar"
    SUPERIOR = "superior"


def reader_for_role(role: str) -> Reader:
    """The kind of reader of an account's role; bureau and province are superiors."""
    return Reader.SUPERIOR if role in {"bureau", "province"} else Reader(role)
