"""What a person or a file gave matches whatever its spelling; the text itself is never changed."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.core.match_keys import (
    compact,
    decode_cell,
    id_key,
    is_blank,
    legal_name,
    match_key,
    name_key,
    visible,
)

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
ODD_TEXT = st.lists(
    st.sampled_from(
        [
            *'=""',
            "'",
            "_x000D_",
            "_x005F_",
            "_x0000_",
            "_xD800_",
            "\u200b",
            "\u3000",
            "＂",
            "＝",
            "é",
            "e\u0301",
            "ß",
            "İ",
        ]
    ),
    max_size=8,
).map("".join)


@pytest.mark.parametrize(
    "text",
    [
        *("2026级2班", "2026级２班", "２０２６级 2 班", "2026级2班_x000D_\n", '="2026级2班"', "'2026级2班"),
        *(
            "\ufeff2026级2班",
            "2026级\u200b2班",
            "\u20682026级2班\u2069",
            "2026级\u00a02班",
            "2026级\u20032班",
        ),
        *(
            "2026级\U000e01002班",
            "2026级2班\u2028",
            "\t2026级2班\t",
            "2026级\u00ad2班",
            "2026级\u31642班",
            "2026级\u28002班",
        ),
    ],
)
def test_spellings_of_one_class_have_one_key(text: str) -> None:
    assert match_key(text) == "2026级2班"


def test_different_classes_have_different_keys() -> None:
    names = ["2026级2班", "2026级12班", "2026级二班", "2025级2班", "2026级2-1班", "2026级21班"]
    assert len({match_key(name) for name in names}) == len(names)


@pytest.mark.parametrize("dot", "·•‧∙⋅・･。．․.●⸱⸳ꞏ᛫\u0387\u2219")
def test_every_middle_dot_of_a_name_matches(dot: str) -> None:
    assert name_key(f"阿卜杜拉{dot}买买提") == name_key("阿卜杜拉·买买提") == "阿卜杜拉·买买提"


@pytest.mark.parametrize(
    ("given", "typed"),
    [
        ("Anne-Marie Martin", "ANNE‑MARIE  MARTIN"),
        ("José", "Jose\u0301"),
        ("欧阳\u2003四", "欧阳四"),
        ("Ｌｉ　Ｍｉｎｇ", "li ming"),
        ("葛\U000e0100飾", "葛飾"),
    ],
)
def test_typed_name_matches_the_given_one(given: str, typed: str) -> None:
    assert name_key(given) == name_key(typed)


def test_other_names_do_not_match() -> None:
    assert len({name_key(name) for name in ("张三", "张三三", "張三", "Nan", "Nana", "Jose", "José")}) == 7


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("'G123 ", "G123"),
        ('="410102"', "410102"),
        ('= "a""b"', 'a"b'),
        ('\ufeff="G1"\u200b', "G1"),
        ("_x005F_x000D_", "_x000D_"),
        ("张三_x000D_\n", "张三"),
        ("张_x0000_三", "张三"),
        ("_xD83D_", "_xD83D_"),
        ("欧阳\u2003四", "欧阳\u2003四"),
        ("２班", "２班"),
        ("a_b", "a_b"),
        ("　 ", ""),
    ],
)
def test_cell_is_decoded_and_otherwise_kept_as_given(cell: str, text: str) -> None:
    assert decode_cell(cell) == text


@given(ANY_TEXT | ODD_TEXT)
def test_key_of_a_key_is_the_same_key(text: str) -> None:
    for function in (visible, compact, match_key, name_key, id_key, legal_name):
        key = function(text)
        assert function(key) == key, function
    assert name_key(name_key(text)) == name_key(match_key(text))
    assert is_blank(text) == (match_key(text) == "")


def test_every_invisible_character_is_ignored() -> None:
    unseen = [
        character
        for character in map(chr, range(0x110000))
        if unicodedata.category(character) in {"Cc", "Cf", "Zs", "Zl", "Zp"} or character.isspace()
    ]
    assert len(unseen) > 200
    assert [character for character in unseen if match_key(f"张{character}三") != "张三"] == []
    assert [character for character in unseen if not is_blank(character)] == []


@pytest.mark.parametrize(
    "odd", [" ", "\u3000", "\u200b", "'", '"', '="', "_x005F", "_x000D_", "=", "·", "¸", "\u0327"]
)
def test_long_hostile_text_has_a_key(odd: str) -> None:
    """The time grows with the length, not with its square or faster: with the square, this would take an hour."""
    for text in (odd * 32_000, f"x{odd * 32_000}y", f"\u200b{odd * 32_000}x"):
        for function in (decode_cell, match_key, name_key, id_key, legal_name):
            function(text)


def test_key_of_a_number_has_letters_and_digits_only() -> None:
    assert id_key(" a123456（3） ") == "A1234563"
    assert id_key("１１０１０５ 19491231-002x") == "11010519491231002X"


@pytest.mark.parametrize(
    ("given", "printed"),
    [
        ("欧阳\u2003四", "欧阳四"),
        ("阿卜杜拉 • 买买提", "阿卜杜拉·买买提"),
        ("Li\u00a0 Ming", "Li Ming"),
        ("张\u200b三", "张三"),
    ],
)
def test_legal_name_is_what_a_document_prints(given: str, printed: str) -> None:
    assert legal_name(given) == printed
