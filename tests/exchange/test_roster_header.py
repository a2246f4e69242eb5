import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.exchange.roster.cells import RawRow
from backend.exchange.roster.errors import RosterColumnsMissing, RosterColumnsRepeated
from backend.exchange.roster.header import is_header, match_header, normalise
from backend.exchange.roster.template import VARIANTS, load_order, load_template


def as_row(headers: list[str]) -> RawRow:
    return RawRow(1, dict(enumerate(headers)))


def test_national_template_has_73_columns_and_its_variant_75() -> None:
    national, variant = load_order("national"), load_order("national-2022")
    assert len(national) == 73
    assert set(variant) - set(national) == {"毕业学校", "专项招生类型"}
    assert len(variant) == 75
    assert list(variant[:49]) != list(national[:49])


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_written_header_is_a_known_column_once(variant: str) -> None:
    order = load_order(variant)
    assert len(set(order)) == len(order)
    assert set(order) <= {column.name for column in load_template().columns}


def test_header_or_alias_names_one_column() -> None:
    spellings = [
        normalise(text) for column in load_template().columns for text in (column.name, *column.aliases)
    ]
    assert len(set(spellings)) == len(spellings)


@given(st.permutations(load_order("national-2022")))
def test_columns_are_matched_by_name_in_any_order(order: list[str]) -> None:
    header = match_header("学生", as_row(order))
    assert {place.header: place.index for place in header.fields.values()} | {
        name: index for index, name in header.extra.items()
    } == {name: index for index, name in enumerate(order)}
    assert header.unknown == ()


@pytest.mark.parametrize(
    "spelt", ["*姓名", "＊姓 名", "姓名（必填）", "姓名(必填)", " 姓　名\n", "【必填】姓名", "姓名*："]
)
def test_marks_and_spaces_around_a_header_are_ignored(spelt: str) -> None:
    assert normalise(spelt) == "姓名"


def test_missing_mandatory_column_is_named() -> None:
    headers = [name for name in load_order("national") if name not in {"班级名称", "学习形式"}]
    with pytest.raises(RosterColumnsMissing, match="班级名称、学习形式"):
        match_header("学生", as_row(headers))


def test_repeated_column_is_named_even_under_an_alias() -> None:
    with pytest.raises(RosterColumnsRepeated, match="身份证件号"):
        match_header("学生", as_row([*load_order("national"), "身份证号"]))


def test_optional_columns_may_be_missing() -> None:
    header = match_header("学生", as_row([column.name for column in load_template().mandatory()]))
    assert "phone" not in header.fields


def test_unknown_column_is_a_warning_with_its_letter() -> None:
    header = match_header("学生", as_row([*load_order("national"), "备注一"]))
    [warning] = header.warnings("学生")
    assert (warning.column, warning.letter, warning.code) == ("备注一", "BV", "column_unknown")
    assert warning.severity == "warning"


def test_title_is_not_a_header_row() -> None:
    assert not is_header(as_row(["2026年秋季学生信息表"]))
    assert not is_header(as_row(["姓名", "性别", "备注"]))
