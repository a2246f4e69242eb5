"""A policy directory is used whole or not at all."""

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


def directory(root: Path, law: str, registry: str = REGISTRY) -> Path:
    (root / "henan").mkdir()
    (root / "clauses.yaml").write_text(registry, encoding="utf-8")
    (root / "henan" / "law.yaml").write_text(law, encoding="utf-8")
    return root


def refusal_of(root: Path, law: str) -> str:
    with pytest.raises(PolicyInvalid) as refusal:
        load_policies(directory(root, law))
    return refusal.value.sentence("en")


def test_a_good_directory_loads_once(tmp_path: Path) -> None:
    root = directory(tmp_path, "parameters:" + CAP.rstrip() + LATER)
    assert load_policies(root) is load_policies(root)
    assert len(load_policies(root).parameters[0].values) == 2


@pytest.mark.parametrize(
    ("find", "put", "told"),
    [
        ("    en: Cap", "    en: Cap\n    note: x", "note"),
        ("    en: Cap\n", "", "en"),
        ('"410000"', "410000", "place"),
        ('"410000"', '"41"', "place"),
        ("value: 15", 'value: "15"', "is no integer"),
        ("value: 15", "value: true", "is no integer"),
        ("value: 15", "value: null", "is no integer"),
        ("    unit: day\n", "", "unit"),
        ("kind: integer", "kind: duration", "is no duration"),
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
def test_a_slip_of_the_pen_is_refused_and_named(tmp_path: Path, find: str, put: str, told: str) -> None:
    assert find in CAP
    law = CAP.replace(find, put)
    if told == "is no duration":
        law = law.replace("unit: day", "unit: minute").replace("value: 15", "value: -1")
    sentence = refusal_of(tmp_path, "parameters:" + law)
    assert told in sentence


def test_values_out_of_order_are_refused(tmp_path: Path) -> None:
    law = "parameters:" + CAP.rstrip() + LATER.replace("2023", "2021")
    assert "order" in refusal_of(tmp_path, law)


def test_values_that_overlap_are_refused(tmp_path: Path) -> None:
    law = (
        "parameters:"
        + CAP.replace("from: 2022-10-09", "from: 2022-10-09\n        until: 2023-10-09").rstrip()
    )
    assert "overlap" in refusal_of(tmp_path, law + LATER)


def test_the_same_parameter_twice_at_one_place_is_refused(tmp_path: Path) -> None:
    assert "2 times" in refusal_of(tmp_path, "parameters:" + CAP + CAP)


def test_a_parameter_means_the_same_at_every_place(tmp_path: Path) -> None:
    local = CAP.replace("410000", "410100").replace("unit: day", "unit: hour")
    assert "changes kind or unit" in refusal_of(tmp_path, "parameters:" + CAP + local)


@pytest.mark.parametrize(
    "value", [".nan", ".inf", "1.5", "-0.1"], ids=["not a number", "infinite", "above one", "below zero"]
)
def test_a_ratio_lies_between_zero_and_one(tmp_path: Path, value: str) -> None:
    law = CAP.replace("kind: integer", "kind: ratio").replace("value: 15", f"value: {value}")
    assert "is no ratio" in refusal_of(tmp_path, "parameters:" + law)


def test_a_table_has_the_same_columns_in_every_row(tmp_path: Path) -> None:
    law = CAP.replace("kind: integer", "kind: table").replace("value: 15", "value: [{a: 1}, {b: 2}]")
    assert "is no table" in refusal_of(tmp_path, "parameters:" + law)


@pytest.mark.parametrize(
    ("code", "level", "reports_to", "told"),
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
def test_divisions_report_upwards_to_the_nation(
    tmp_path: Path, code: str, level: str, reports_to: str, told: str
) -> None:
    rows = f"""
  - {{code: "410200", zh: 开封, level: city, reports_to: "{"410100" if reports_to == "410200" else "000000"}"}}
  - {{code: "{code}", zh: 郑州, level: {level}, reports_to: "{reports_to}"}}"""
    assert told in refusal_of(tmp_path, f"divisions: {rows}")


@pytest.mark.parametrize("law", ["", "[]", "parameters: 1", "figures: []", "parameters: ["])
def test_a_file_of_another_shape_is_refused(tmp_path: Path, law: str) -> None:
    assert "law.yaml" in refusal_of(tmp_path, law)


def test_a_directory_without_a_registry_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyInvalid):
        load_policies(tmp_path)


@pytest.mark.parametrize(
    ("find", "put"),
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
def test_a_registry_that_does_not_resolve_is_refused(tmp_path: Path, find: str, put: str) -> None:
    assert find in REGISTRY
    root = directory(tmp_path, "parameters:" + CAP, REGISTRY.replace(find, put))
    with pytest.raises(PolicyInvalid):
        load_clauses(root)


def test_a_deployment_adds_the_law_of_its_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local = tmp_path / "local"
    local.mkdir()
    law = "parameters:" + CAP.rstrip().replace('"410000"', '"410181"').replace(
        "unit: day", "unit: day_per_term"
    )
    (local / "gongyi.yaml").write_text(law.replace("value: 15", "value: 12"), encoding="utf-8")
    monkeypatch.setenv("DIANMING_POLICIES", str(local))
    day = date(2025, 3, 1)
    assert load_policies().at(day, "410181").integer("leave.cap") == 12
    assert load_policies().at(day, "410100").integer("leave.cap") == 15


def test_a_folder_of_local_law_that_is_not_there_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIANMING_POLICIES", str(tmp_path / "nowhere"))
    with pytest.raises(PolicyInvalid):
        load_policies()
