"""Helpers for tests of explanations."""

import re

from backend.core.bilingual import Bilingual
from backend.standing.explanations.model import Explanation


def find_codes(*sentences: Bilingual) -> list[str]:
    """Words in the sentences that look like codes."""
    return [found for words in sentences for text in words for found in re.findall(r"[a-z]+_[a-z_]+", text)]


def all_sentences(explanation: Explanation) -> list[Bilingual]:
    facts = [fact.words for fact in explanation.facts]
    return [explanation.title, *explanation.paragraphs, *facts, *explanation.next_steps]


def chinese_text(explanation: Explanation) -> str:
    return "\n".join(words.zh for words in all_sentences(explanation))
