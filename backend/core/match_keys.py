"""The one normalisation of texts that are compared: cells, headers, coded values, ID numbers, class names, typed names.

A key is for matching only. What a person or a file gave is stored unchanged beside it: two spellings of one name have
the same key, and no key is ever shown.

    decode_cell   what a file format wrapped around a text is removed; the text itself stays as given
    visible       one line as a reader sees it: compatibility forms unified, nothing invisible, single spaces
    compact       decoded, and `visible` without spaces
    match_key     `compact` without the difference of upper and lower case
    name_key      `match_key` with one middle dot, for names of persons
    id_key        letters and digits in upper case, for numbers of documents
    legal_name    a name as identity documents print it, for services that compare character by character
"""

import re
import unicodedata

_INVISIBLE = re.compile(
    "["
    "\u0000-\u0008\u000e-\u001b\u007f-\u0084\u0086-\u009f"  # controls that are no white space
    "\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd\U00013430-\U0001343f"  # format characters
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"  # zero width, embeddings, isolates
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"  # variation selectors, byte order mark
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    "]+"
)
"""Characters that Unicode tells programs not to show (Default_Ignorable_Code_Point), and controls."""

_SPACES = re.compile("[\\s\u2800]+")
"""White space of every kind, and the blank braille pattern, which looks like it."""

_EDGE = rf"(?:{_INVISIBLE.pattern}|{_SPACES.pattern})*"
_OUTER = re.compile(rf"\A{_EDGE}(.*?){_EDGE}\Z", re.DOTALL)
_QUOTED = re.compile(r'=\s*"(.*)"', re.DOTALL)
"""`="410…"`: a formula that keeps a program from reading a number."""
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
"""`_x000D_`: a character that XML cannot hold, as Office writes it."""

_HYPHENS = dict.fromkeys((0x2010, 0x2011, 0x2043, 0x2212), "-")
MIDDLE_DOT = "\u00b7"
"""The dot of the standard for names of minorities (间隔号)."""
_DOTS = str.maketrans(
    dict.fromkeys(
        "•‧∙⋅・。.●⚫⦁∘◦▪⬝⸰⸱⸳ꞏᐧ᛫ˑ\u0701\u0702\u119e\U00010101",
        MIDDLE_DOT,
    )
)
"""Characters that are written for the middle dot. NFKC has unified ． ｡ ･ ․ and U+0387 before."""

_CHINESE_SPACE = re.compile(
    r" (?=[\u2e80-\u9fff\U00020000-\U0003ffff·])|(?<=[\u2e80-\u9fff\U00020000-\U0003ffff·]) "
)


def decode_cell(text: str) -> str:
    """The text of a cell without the marks of file formats and programs around it; inside, it stays as given."""
    if text.isalnum():  # the common case: nothing to remove
        return text
    decoded = _ESCAPED.sub(_unescape, text) if "_x" in text else text
    while (inner := _unwrap(decoded)) != decoded:
        decoded = inner
    return decoded


def _unescape(match: re.Match[str]) -> str:
    """The escaped character, except those that no database stores: NUL and halves of surrogate pairs."""
    character = chr(int(match[1], 16))
    if character == "\0":
        return ""
    return match[0] if unicodedata.category(character) == "Cs" else character


def _unwrap(text: str) -> str:
    outer = _OUTER.match(text)
    inner = outer[1] if outer else text
    quoted = _QUOTED.fullmatch(inner)
    return quoted[1].replace('""', '"') if quoted else inner.removeprefix("'")


def visible(text: str) -> str:
    """The text as one line that a reader sees, with compatibility forms (full width, ligatures) unified (NFKC)."""
    if text.isascii() and text.isalnum():
        return text
    shown = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).translate(_HYPHENS)
    # Removing a mark between two characters can make them combine.
    return _SPACES.sub(" ", unicodedata.normalize("NFKC", shown)).strip()


def compact(text: str) -> str:
    """The decoded text as a reader sees it, without any space: for numbers, codes and headers."""
    shown = visible(text)
    while (decoded := visible(decode_cell(shown).replace(" ", ""))) != shown:
        shown = decoded
    return shown


def match_key(text: str) -> str:
    """The key under which a class name, a header or a coded value is compared."""
    key = compact(text)
    while (folded := compact(key.casefold())) != key:
        key = folded
    return key


def name_key(name: str) -> str:
    """The key under which names of persons are compared: the dots of minority names come in many code points."""
    return match_key(name).translate(_DOTS)


def id_key(number: str) -> str:
    """The key of an identity document's or a student's number: letters and digits only, so `A123456(3)` is `A1234563`."""
    return "".join(character for character in compact(number).upper() if character.isalnum())


def legal_name(name: str) -> str:
    """The name with the standard middle dot, and with spaces only between words of other scripts than Chinese."""
    shown = visible(name)
    while (printed := visible(_CHINESE_SPACE.sub("", visible(decode_cell(shown)).translate(_DOTS)))) != shown:
        shown = printed
    return shown


def is_blank(text: str) -> bool:
    """Whether nothing of the decoded text is visible."""
    return not compact(text)
