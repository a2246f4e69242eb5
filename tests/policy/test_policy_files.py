"""Validation of the policy files: a directory is used completely or not at all."""

from datetime import date
from pathlib import Path

import pytest

from backend.policy import PolicyInvalid, load_clauses, load_policies

REGISTRY = """
instruments:
  - {id: HN334, zh: 通知, en: Notice}
  - {id: DIANMING, zh: 点名, en: Dianming}
clauses:
  - {id: HN334-3.5b, instrument: HN334, article: 三、5, title: {zh: 请假, en: Leave}, status: planned}
"""
CAP = """
  - id: leave.cap
    kind: integer
    unit: day
    place: "410000"
    zh: 上限
    en: Cap
    values:
      - from: 2022-10-09
        value: 15
        reference: {instrument: HN334, article: 三、5, clause: HN334-3.5b}
"""
LATER = """
      - from: 2023-10-09
        value: 10
        reference: {instrument: HN334, article: 三、5, clause: HN334-3.5b}
"""


def write_directory(root: Path, content: str, registry: str = REGISTRY) -> Path:
    (root / "henan").mkdir()
    (root / "clauses.yaml").write_text(registry, encoding="utf-8")
    (root / "henan" / "law.yaml").write_text(content, encoding="utf-8")
    return root


def load_error(root: Path, content: str) -> str:
    with pytest.raises(PolicyInvalid) as error:
        load_policies(write_directory(root, content))
    return error.value.sentence("en")


def test_valid_directory_is_loaded_once(tmp_path: Path) -> None:
    root = write_directory(tmp_path, "parameters:" + CAP.rstrip() + LATER)
    assert load_policies(root) is load_policies(root)
    assert len(load_policies(root).parameters[0].values) == 2


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("    en: Cap", "    en: Cap\n    note: x", "note"),
        ("    en: Cap\n", "", "en"),
        ('"410000"', "410000", "place"),
        ('"410000"', '"41"', "place"),
        ("value: 15", 'value: "15"', "is not a valid integer"),
        ("value: 15", "value: true", "is not a valid integer"),
        ("value: 15", "value: null", "is not a valid integer"),
        ("    unit: day\n", "", "unit"),
        ("kind: integer", "kind: duration", "is not a valid duration"),
        ("kind: integer", "kind: whole", "kind"),
        ("from: 2022-10-09", "from: soon", "from"),
        ("from: 2022-10-09", "from: 2022-13-09", "month"),
        ("from: 2022-10-09", "from: 2022-10-09 10:00:00", "from"),
        ("from: 2022-10-09", "from: 2022-10-09\n        until: 2022-10-08", "before"),
        ("clause: HN334-3.5b", "clause: HN334-9", "unknown clause HN334-9"),
        ("clause: HN334-3.5b", "clause: HN334-3.5b, reading: R99", "unknown clause R99"),
        ("instrument: HN334", "instrument: HN335", "unknown instrument HN335"),
        ("instrument: HN334", "instrument: DIANMING", "rationale"),
        ("        reference: {instrument: HN334, article: 三、5, clause: HN334-3.5b}\n", "", "reference"),
        (", article: 三、5", "", "article"),
        ("    kind: integer", "    kind: integer\n    kind: integer", "repeated"),
        ("id: leave.cap", "id: Leave Cap", "id"),
    ],
)
def test_typing_mistake_is_rejected_with_its_place(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in CAP
    content = CAP.replace(old, new)
    if expected == "is not a valid duration":
        content = content.replace("unit: day", "unit: minute").replace("value: 15", "value: -1")
    sentence = load_error(tmp_path, "parameters:" + content)
    assert expected in sentence


def test_values_out_of_order_are_rejected(tmp_path: Path) -> None:
    content = "parameters:" + CAP.rstrip() + LATER.replace("2023", "2021")
    assert "order" in load_error(tmp_path, content)


def test_overlapping_values_are_rejected(tmp_path: Path) -> None:
    content = (
        "parameters:"
        + CAP.replace("from: 2022-10-09", "from: 2022-10-09\n        until: 2023-10-09").rstrip()
    )
    assert "overlap" in load_error(tmp_path, content + LATER)


def test_repeated_parameter_at_one_place_is_rejected(tmp_path: Path) -> None:
    assert "2 times" in load_error(tmp_path, "parameters:" + CAP + CAP)


def test_parameter_has_one_kind_and_unit_at_every_place(tmp_path: Path) -> None:
    local = CAP.replace("410000", "410100").replace("unit: day", "unit: hour")
    assert "changes kind or unit" in load_error(tmp_path, "parameters:" + CAP + local)


@pytest.mark.parametrize(
    "value", [".nan", ".inf", "1.5", "-0.1"], ids=["not a number", "infinite", "above one", "below zero"]
)
def test_ratio_must_be_between_zero_and_one(tmp_path: Path, value: str) -> None:
    content = CAP.replace("kind: integer", "kind: ratio").replace("value: 15", f"value: {value}")
    assert "is not a valid ratio" in load_error(tmp_path, "parameters:" + content)


def test_table_rows_must_have_the_same_columns(tmp_path: Path) -> None:
    content = CAP.replace("kind: integer", "kind: table").replace("value: 15", "value: [{a: 1}, {b: 2}]")
    assert "is not a valid table" in load_error(tmp_path, "parameters:" + content)


@pytest.mark.parametrize(
    ("code", "level", "reports_to", "expected"),
    [
        ("410100", "city", "410000", "never reports to 000000"),
        ("410100", "city", "410100", "never reports to 000000"),
        ("410100", "city", "410200", "never reports to 000000"),
        ("410100", "village", "000000", "divisions.1.level"),
        ("41", "city", "000000", "divisions.1.code"),
        ("410200", "city", "000000", "410200 is defined 2 times"),
    ],
    ids=["superior not filed", "its own superior", "circle", "unknown level", "malformed code", "twice"],
)
def test_divisions_must_report_up_to_the_nation(
    tmp_path: Path, code: str, level: str, reports_to: str, expected: str
) -> None:
    rows = f"""
  - {{code: "410200", zh: 开封, level: city, reports_to: "{"410100" if reports_to == "410200" else "000000"}"}}
  - {{code: "{code}", zh: 郑州, level: {level}, reports_to: "{reports_to}"}}"""
    assert expected in load_error(tmp_path, f"divisions: {rows}")


@pytest.mark.parametrize("content", ["", "[]", "parameters: 1", "figures: []", "parameters: ["])
def test_file_with_another_structure_is_rejected(tmp_path: Path, content: str) -> None:
    assert "law.yaml" in load_error(tmp_path, content)


def test_directory_without_clause_registry_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(PolicyInvalid):
        load_policies(tmp_path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("status: planned", "status: implemented"),
        ("status: planned", "status: done"),
        ("status: planned", "status: planned, touches: [R1]"),
        ("instrument: HN334,", "instrument: HN335,"),
        ("{id: DIANMING", "{id: HN334"),
        ("id: HN334-3.5b", "id: leave"),
    ],
    ids=[
        "implemented nowhere",
        "unknown status",
        "touches nothing known",
        "unknown instrument",
        "twice",
        "no id",
    ],
)
def test_inconsistent_clause_registry_is_rejected(tmp_path: Path, old: str, new: str) -> None:
    assert old in REGISTRY
    root = write_directory(tmp_path, "parameters:" + CAP, REGISTRY.replace(old, new))
    with pytest.raises(PolicyInvalid):
        load_clauses(root)


def test_deployment_adds_local_parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local = tmp_path / "local"
    local.mkdir()
    content = "parameters:" + CAP.rstrip().replace('"410000"', '"410181"').replace(
        "unit: day", "unit: day_per_term"
    )
    (local / "gongyi.yaml").write_text(content.replace("value: 15", "value: 12"), encoding="utf-8")
    monkeypatch.setenv("DIANMING_POLICIES", str(local))
    day = date(2025, 3, 1)
    assert load_policies().at(day, "410181").integer("leave.cap") == 12
    assert load_policies().at(day, "410100").integer("leave.cap") == 15


def test_missing_local_directory_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIANMING_POLICIES", str(tmp_path / "nowhere"))
    with pytest.raises(PolicyInvalid):
        load_policies()
