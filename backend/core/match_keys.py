"""The one normalisation of texts that are compared: cells, headers, coded values, ID numbers, class names, typed names.

A key is for matching only. What a person or a file gave is stored unchanged as well: two spellings of one name have
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

_INVISIBLE_RANGES = (
    *((0x00, 0x08), (0x0E, 0x1B), (0x7F, 0x84), (0x86, 0x9F)),  # controls that are no white space
    *((0x600, 0x605), (0x6DD, 0x6DD), (0x70F, 0x70F), (0x890, 0x891), (0x8E2, 0x8E2)),  # format characters
    *((0x110BD, 0x110BD), (0x110CD, 0x110CD), (0x13430, 0x1343F)),
    *((0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F)),
    *(
        (0x200B, 0x200F),
        (0x202A, 0x202E),
        (0x2060, 0x206F),
        (0x3164, 0x3164),
    ),  # zero width, embeddings, isolates
    *(
        (0xFE00, 0xFE0F),
        (0xFEFF, 0xFEFF),
        (0xFFA0, 0xFFA0),
        (0xFFF0, 0xFFFB),
    ),  # variation selectors, byte order mark
    *((0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF)),
)
"""Characters that Unicode tells programs not to show (Default_Ignorable_Code_Point), and controls."""

_SPACE_RANGES = (
    *((0x09, 0x0D), (0x1C, 0x20), (0x85, 0x85), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A)),
    *((0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000), (0x2800, 0x2800)),
)
"""White space of every kind, and the blank braille pattern, which looks like it."""

_INVISIBLE = re.compile(
    "[" + "".join(f"{chr(first)}-{chr(last)}" for first, last in _INVISIBLE_RANGES) + "]+"
)
_SPACES = re.compile("[" + "".join(f"{chr(first)}-{chr(last)}" for first, last in _SPACE_RANGES) + "]+")
_EDGES = "".join(
    chr(code) for first, last in (*_SPACE_RANGES, *_INVISIBLE_RANGES) for code in range(first, last + 1)
)
_MAX_ROUNDS = 8
"""How often wrapped marks are unwrapped. No program nests them deeper, and a hostile text must not cost much."""

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
    for _ in range(_MAX_ROUNDS):
        inner = _unwrap(decoded)
        if inner == decoded:
            break
        decoded = inner
    return decoded


def _unescape(match: re.Match[str]) -> str:
    """The escaped character, except those that no database stores: NUL and halves of surrogate pairs."""
    character = chr(int(match[1], 16))
    if character == "\0":
        return ""
    return match[0] if unicodedata.category(character) == "Cs" else character


def _unwrap(text: str) -> str:
    inner = text.strip(_EDGES)
    quoted = _QUOTED.fullmatch(inner)
    return quoted[1].replace('""', '"') if quoted else inner.lstrip("'")


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
    for _ in range(_MAX_ROUNDS):
        decoded = visible(decode_cell(shown).replace(" ", ""))
        if decoded == shown:
            break
        shown = decoded
    return shown


def match_key(text: str) -> str:
    """The key under which a class name, a header or a coded value is compared."""
    key = compact(text)
    for _ in range(_MAX_ROUNDS):
        folded = compact(key.casefold())
        if folded == key:
            break
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
    for _ in range(_MAX_ROUNDS):
        printed = visible(_CHINESE_SPACE.sub("", visible(decode_cell(shown)).translate(_DOTS)))
        if printed == shown:
            break
        shown = printed
    return shown


def is_blank(text: str) -> bool:
    """Whether nothing of the decoded text is visible."""
    return not compact(text)
