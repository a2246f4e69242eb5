"""The simulator: every shipped case gives a file that the checker accepts, every result is explained, and odd facts are
refused with the field at fault."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from pydantic import ValidationError

from backend.core.errors import DomainError
from backend.law_cases.errors import CaseReferenceUnknown
from backend.law_cases.evaluation import evaluate
from backend.law_cases.loader import read_cases
from backend.law_cases.runner import run_file
from backend.law_cases.schemas import FACTS, MAX_FACTS, LawCaseEvaluationOut, LawCaseIn
from backend.law_cases.service import as_case
from backend.law_cases.writer import write_case
from backend.policy import load_policies
from backend.standing.explanations.model import Reader
from tests.law.case_strategies import requests

LAW = load_policies()
CASES = {
    f"{path.stem}: {case.name}": case
    for path in sorted(Path(__file__).parent.glob("*/*.yaml"))
    for case in read_cases(path)
    if not case.law.amendments  # figures of a case alone have no citation, so they are not explained
}
REQUEST = {
    "name": "连续两次未核验，期满未处理",
    "terms": [{"code": "2025-autumn", "from": "2025-09-01", "to": "2026-01-18"}],
    "facts": FACTS,
    "at": ["2025-09-15 15:00", "2025-09-22 24:00"],
}


def evaluate_request(content: dict[str, Any]) -> LawCaseEvaluationOut:
    case = as_case(LawCaseIn.model_validate(content), "410100", [])
    return LawCaseEvaluationOut.of(evaluate(case, LAW, Reader.REGISTRAR))


@pytest.mark.parametrize("name", CASES)
def test_written_file_is_accepted_by_the_checker(name: str, tmp_path: Path) -> None:
    evaluation = evaluate(CASES[name], LAW, Reader.REGISTRAR)
    shown = LawCaseEvaluationOut.of(evaluation)
    assert len(shown.outcomes) == len(CASES[name].expect)
    path = tmp_path / "case.yaml"
    path.write_text(write_case(evaluation.case), encoding="utf-8")
    [result] = run_file(path, LAW)
    assert result.passed, result.differences
    assert [case.facts for case in read_cases(path)] == [CASES[name].facts]


def test_results_say_what_follows_and_why() -> None:
    before, after = evaluate_request(REQUEST).outcomes
    assert (before.counts.consecutive, before.prompts[0].state.code) == (2, "running")
    assert before.status.study_form.code == "full_time"
    assert after.status.study_form.code == "part_time"
    [change] = after.changes
    assert change.cause == "expiry"
    assert change.explanation.references[0].clause == "HN334-4.1b"
    figures = {each.parameter for each in after.prompts[0].explanation.figures}
    assert {"misses.consecutive", "misses.cumulative"} <= figures
    assert "c1" in after.prompts[0].explanation.facts[0].words.zh


def test_file_of_a_request_is_accepted_by_the_checker(tmp_path: Path) -> None:
    path = tmp_path / "case.yaml"
    path.write_text(evaluate_request(REQUEST).file, encoding="utf-8")
    [result] = run_file(path, LAW)
    assert result.passed
    assert set(result.clauses) >= {"HN334-4.1b", "R7"}
    [case] = read_cases(path)
    assert [each.at for each in case.expect] == LawCaseIn.model_validate(REQUEST).at


def test_reference_to_nothing_names_the_field() -> None:
    facts = [
        *FACTS,
        {"payment": {"id": "p", "aid": "g", "month": "2025-09", "paid": "2025-09-20 10:00", "fen": 1}},
    ]
    with pytest.raises(CaseReferenceUnknown) as refusal:
        evaluate_request(REQUEST | {"facts": facts})
    [field] = refusal.value.fields
    assert (field["field"], field["code"]) == ("body.facts.3.payment.aid", "case_reference_unknown")
    assert "facts.3" not in refusal.value.sentence("zh")


@pytest.mark.parametrize(
    ("change", "location"),
    [
        pytest.param({"facts": [FACTS[0]] * (MAX_FACTS + 1)}, ("facts",), id="too many facts"),
        pytest.param({"facts": [{"roll_call": None}]}, ("facts", 0), id="no fact"),
        pytest.param({"facts": [{**FACTS[0], **FACTS[2]}]}, ("facts", 0), id="two kinds"),
        pytest.param({"at": []}, ("at",), id="no instant"),
        pytest.param({"at": ["2025-09-22"]}, ("at", 0), id="a day alone"),
        pytest.param(
            {"terms": [{"code": "T", "from": "2025-09-01", "to": "2025-08-01"}]},
            ("terms", 0),
            id="reversed term",
        ),
        pytest.param({"place": "henan"}, ("place",), id="no division code"),
        pytest.param({"expect": []}, ("expect",), id="unknown key"),
        pytest.param({"name": "\ud800"}, ("name",), id="text that no file can have"),
    ],
)
def test_unusable_request_is_refused_at_its_field(
    change: dict[str, Any], location: tuple[str | int, ...]
) -> None:
    with pytest.raises(ValidationError) as refusal:
        LawCaseIn.model_validate(REQUEST | change)
    assert refusal.value.errors()[0]["loc"] == location


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(content=requests())
def test_any_facts_are_evaluated_or_refused(
    content: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    try:
        shown = evaluate_request(content)
    except (ValidationError, DomainError):
        return
    path = tmp_path_factory.getbasetemp() / "case.yaml"
    path.write_text(shown.file, encoding="utf-8")
    [result] = run_file(path, LAW)
    assert result.passed, result.differences
