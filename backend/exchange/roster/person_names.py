"""Whether the text of a name cell can be a name, or is what programs leave behind when they lost one."""

import re
import unicodedata

from backend.core.match_keys import compact
from backend.exchange.roster.issues import BAD_NAME, NAME_GARBLED, NAME_PLACEHOLDER
from backend.people.identifiers import Defect

_LOST = frozenset("?\ufffd□■▯〓*#")
"""What programs write for a character that they cannot convert, and what hides a part of a name."""

_PLACEHOLDERS = frozenset(
    {"null", "(null)", "none", "undefined", "n/a", "#n/a", "<na>", "nat", "nil", "blank"}
)
_PLACEHOLDERS_AS_WRITTEN = frozenset({"nan", "NaN", "-nan", "NA"})
"""In other cases these are syllables of pinyin: a person may be called Nan or Na."""
_CHINESE_PLACEHOLDERS = frozenset(
    {"无", "暂无", "空", "空白", "未知", "不详", "待定", "未填", "没有", "姓名"}
)

_NAME = re.compile(r"[^\d\x00-\x1f\x7f]{1,50}")


def find_name_defect(name: str) -> Defect | None:
    """The defect of a name as a whole, if any. `name` is not blank."""
    shown = compact(name)
    if (
        shown in _PLACEHOLDERS_AS_WRITTEN
        or shown in _CHINESE_PLACEHOLDERS
        or shown.casefold() in _PLACEHOLDERS
    ):
        return NAME_PLACEHOLDER
    if any(character in _LOST or unicodedata.category(character) == "Co" for character in shown):
        return NAME_GARBLED
    if not any(character.isalpha() for character in shown):
        return BAD_NAME if any(character.isdigit() for character in shown) else NAME_PLACEHOLDER
    return None if _NAME.fullmatch(shown) else BAD_NAME
