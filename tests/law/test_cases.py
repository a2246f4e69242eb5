"""Every shipped law case passes, and together they cover the consequences in HN334."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from backend.commands.law_command import app
from backend.law_cases.errors import (
    CaseFileUnreadable,
    CaseKeyMissing,
    CaseKeyUnknown,
    CaseMalformed,
    CaseReferenceUnknown,
    CaseValueBad,
)
from backend.law_cases.fixtures import World, build
from backend.law_cases.loader import read_cases
from backend.law_cases.runner import run
from backend.policy import load_clauses, load_policies

FILES = sorted(Path(__file__).parent.glob("*/*.yaml"))
LAW = load_policies()
WORLDS = {
    f"{path.stem}: {case.name}": (path, build(case, LAW, path.name))
    for path in FILES
    for case in read_cases(path)
}
MINIMUM_OF_CASES = 120
CASE = """
cases:
  - name: 两次未核验
    clauses: [HN334-4.1b]
    terms: [{code: T, from: 2025-09-01, to: 2026-01-18}]
    facts:
      - roll_call: {id: c1, on: 2025-09-08, outcome: missed}
      - roll_call: {id: c2, on: 2025-09-15, outcome: missed}
      - prompt_delivered: {prompt: misses, at: 2025-09-15 15:00}
    expect:
      - at: 2025-09-22 24:00
        counts: {consecutive: 2}
        changes: [{outcome: part_time}]
"""


@pytest.mark.parametrize("name", WORLDS)
def test_a_law_case_passes(name: str) -> None:
    path, world = WORLDS[name]
    result = run(world, path.name)
    assert result.passed, result.differences


def test_there_are_enough_cases_and_they_cite_existing_clauses() -> None:
    cited = {clause for _, world in WORLDS.values() for clause in world.case.clauses}
    assert len(WORLDS) >= MINIMUM_OF_CASES
    assert cited <= load_clauses().ids
    assert {f"R{number}" for number in (*range(1, 9), 10, 11, 12, 14, 16, 18, 20, 22, 24)} <= cited


def write_file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "cases.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def build_worlds(path: Path) -> list[World]:
    return [build(case, LAW, path.name) for case in read_cases(path)]


def test_the_command_checks_a_file_at_any_path(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["check", str(write_file(tmp_path, CASE)), "--json"])
    assert result.exit_code == 0
    output = json.loads(result.stdout)
    assert (output["passed"], output["failed"]) == (1, 0)


def test_a_failing_case_exits_with_one_and_shows_its_trace(tmp_path: Path) -> None:
    path = write_file(tmp_path, CASE.replace("consecutive: 2", "consecutive: 3"))
    result = CliRunner().invoke(app, ["check", str(path), "--json"])
    assert result.exit_code == 1
    case = json.loads(result.stdout)["cases"][0]
    assert case["differences"] == [
        {"at": "2025-09-23 00:00:00", "key": "counts.consecutive", "expected": 3, "actual": 2}
    ]
    traces = [prompt["trace"] for prompt in case["trace"][0]["prompts"]]
    assert traces[0]["clause"] == "HN334-4.1b"
    assert traces[0]["facts"] == ["check:c1", "check:c2"]
    assert "失败 FAIL" in CliRunner().invoke(app, ["check", str(path)]).stdout


@pytest.mark.parametrize(
    ("before", "after", "fault", "key"),
    [
        ("outcome: missed}", "outcom: missed}", CaseKeyUnknown, "facts.0.roll_call.outcom"),
        ("clauses: [HN334-4.1b]", "", CaseKeyMissing, "clauses"),
        ("at: 2025-09-15 15:00", "at: 2025-09-15", CaseValueBad, "facts.2.prompt_delivered.at"),
        ("at: 2025-09-15 15:00", "at: 2025-09-15 24:01", CaseValueBad, "facts.2.prompt_delivered.at"),
        ("on: 2025-09-08", "on: 2025-02-30", CaseValueBad, "facts.0.roll_call.on"),
        ("id: c2,", "id: c1,", CaseValueBad, "facts.1.roll_call.id"),
        ("id: c2,", "id: c2, replaces: c9,", CaseReferenceUnknown, "facts.1.roll_call.replaces"),
        ("prompt: misses,", "prompt: leave_over_cap,", CaseReferenceUnknown, "facts.2.prompt"),
        ("prompt: misses,", "prompt: misses#2,", CaseReferenceUnknown, "facts.2.prompt"),
        ("expect:", "expect: []\n    expects:", CaseValueBad, "expect"),
        ("cases:", "case:", CaseKeyUnknown, "cases"),
        ("name: 两次未核验", "name: [", CaseFileUnreadable, "-"),
        ("name: 两次未核验", "name: 甲\n    name: 乙", CaseFileUnreadable, "-"),
    ],
)
def test_a_malformed_file_is_refused_naming_file_case_and_key(
    tmp_path: Path, before: str, after: str, fault: type[CaseMalformed], key: str
) -> None:
    path = write_file(tmp_path, CASE.replace(before, after))
    with pytest.raises(CaseMalformed) as refusal:
        build_worlds(path)
    assert type(refusal.value) is fault
    assert refusal.value.place["key"] == key
    result = CliRunner().invoke(app, ["check", str(path), "--json"])
    error = json.loads(result.stdout)["error"]
    assert (result.exit_code, error["code"], error["key"]) == (2, fault.code, key)
    assert error["file"] == str(path)
    assert error["case"]


def test_an_amendment_of_an_unknown_figure_is_refused(tmp_path: Path) -> None:
    amended = CASE.replace(
        "    facts:",
        "    law: {amendments: [{parameter: misses.total, from: 2025-09-01, value: 3}]}\n    facts:",
    )
    with pytest.raises(CaseReferenceUnknown):
        build_worlds(write_file(tmp_path, amended))


def test_an_amendment_of_the_wrong_kind_is_refused(tmp_path: Path) -> None:
    amended = CASE.replace(
        "    facts:",
        "    law: {amendments: [{parameter: misses.consecutive, from: 2025-09-01, value: three}]}\n    facts:",
    )
    with pytest.raises(CaseValueBad) as refusal:
        build_worlds(write_file(tmp_path, amended))
    assert refusal.value.place["key"] == "law.amendments.0"


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["check", str(tmp_path / "none.yaml"), "--json"])
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["code"] == "case_file_unreadable"


def test_a_place_without_law_is_refused(tmp_path: Path) -> None:
    elsewhere = CASE.replace("    facts:", '    law: {place: "140900"}\n    facts:')
    result = CliRunner().invoke(app, ["check", str(write_file(tmp_path, elsewhere)), "--json"])
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["code"] == "absent_law"
