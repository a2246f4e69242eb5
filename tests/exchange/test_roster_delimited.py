from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from backend.exchange.roster.csv_reader import detect_encoding
from backend.exchange.roster.errors import RosterDamaged, RosterEncodingUnknown
from backend.exchange.roster.issues import RowIssue
from backend.exchange.roster.reader import read_roster
from backend.exchange.roster.rows import RosterRow
from backend.exchange.roster.writer import write_roster

TODAY = date(2026, 11, 21)
Records = list[dict[str, str]]
Reader = Callable[[Path], tuple[list[RosterRow], list[RowIssue]]]


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("姓名,性别\n".encode(), "utf-8-sig"),
        ("姓名,性别\n".encode("utf-8-sig"), "utf-8-sig"),
        ("姓名,性别\n".encode("gb18030"), "gb18030"),
        ("㐀𠀀,龦\n".encode("gb18030"), "gb18030"),
        (b"name,sex\n", "utf-8-sig"),
    ],
)
def test_csv_encoding_is_detected(tmp_path: Path, content: bytes, encoding: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    assert detect_encoding(path) == encoding


@pytest.mark.parametrize(
    "content", ["姓名\n".encode("utf-16"), b"\xff\xff\xff", "姓名".encode()[:-1] + b"\xff"]
)
def test_csv_in_another_encoding_is_rejected(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(RosterEncodingUnknown):
        detect_encoding(path)


def test_csv_with_an_unclosed_quotation_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('姓名,"性别\n' + "x" * 200_000, encoding="utf-8")
    with pytest.raises(RosterDamaged):
        list(read_roster(path, today=TODAY))


def test_csv_with_rounded_numbers_is_rejected_row_by_row(
    records: Records, tmp_path: Path, read_file: Reader
) -> None:
    path = tmp_path / "a.csv"
    spoiled = {**records[0], "身份证件号": "4.10102E+17"}
    write_roster(path, [spoiled, records[1]], variant="national", form="csv-gb18030")
    rows, issues = read_file(path)
    assert len(rows) == 1
    assert [(issue.sheet, issue.row, issue.code) for issue in issues] == [
        ("CSV", 2, "number_precision_lost")
    ] + [("CSV", 2, "student_number_not_of_id")] * (len(issues) - 1)


def test_csv_cell_that_looks_like_a_formula_is_escaped(records: Records, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write_roster(
        path, [{**records[0], "家庭现地址": "=cmd|' /C calc'!A0"}], variant="national", form="csv-utf8"
    )
    assert ",'=cmd" in path.read_text(encoding="utf-8-sig")
    [row] = [item for item in read_roster(path, today=TODAY) if isinstance(item, RosterRow)]
    assert row.extras["家庭现地址"] == "=cmd|' /C calc'!A0"
