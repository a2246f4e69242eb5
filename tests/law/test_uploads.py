"""Case files that are opened in the simulator: nothing of a case is lost, and hostile files are refused."""

from pathlib import Path

import pytest

from backend.law_cases.errors import CaseFileUnreadable, CaseKeyUnknown, CaseMalformed, CaseValueBad
from backend.law_cases.format import Case
from backend.law_cases.loader import parse_uploaded_cases, read_cases
from backend.law_cases.schemas import MAX_FACTS, MAX_INSTANTS, LawCaseIn
from backend.law_cases.service import as_case
from backend.law_cases.uploads import LawCaseFileIn, OpenedLawCaseOut, open_case_file
from backend.law_cases.writer import write_case

FILES = sorted(Path(__file__).parent.rglob("*.yaml"))
CASE = """
cases:
  - name: 一次未核验
    clauses: ["-"]
    terms: [{code: 2025-autumn, from: 2025-09-01, to: 2026-01-18}]
    expect: [{at: 2025-09-22 24:00}]
"""


def in_the_simulator(case: Case) -> Case:
    """The case after it was opened and read back from the body of the request."""
    body = LawCaseIn.model_validate(OpenedLawCaseOut.of(case, "case.yaml").body)
    return as_case(body, body.place or "", [])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_opened_case_has_the_place_terms_student_and_facts_of_its_file(path: Path) -> None:
    cases = parse_uploaded_cases(path.read_text(encoding="utf-8"), path.name)
    assert cases == read_cases(path)
    for case in cases:
        opened = in_the_simulator(case)
        assert (opened.law.place, opened.terms, opened.student, opened.facts) == (
            case.law.place,
            case.terms,
            case.student,
            case.facts,
        )
        assert [each.at for each in opened.expect] == [each.at for each in case.expect][:MAX_INSTANTS]


async def test_file_of_the_simulator_opens_as_the_same_case() -> None:
    [case] = parse_uploaded_cases(CASE, "case.yaml")
    written = write_case(in_the_simulator(case))
    opened = await open_case_file(LawCaseFileIn(file_name="case.yaml", content=written))
    assert opened.cases[0].ignored == []
    again = LawCaseIn.model_validate(opened.cases[0].body)
    assert write_case(as_case(again, again.place or "", [])) == written


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("cases: [&a {name: x}, *a]", CaseFileUnreadable),
        ("cases: " + "[" * 500 + "]" * 500, CaseFileUnreadable),
        ("cases: [{name: x", CaseFileUnreadable),
        ("\x00", CaseFileUnreadable),
        (CASE.replace("clauses:", "clause:"), CaseMalformed),
        (CASE + "extra: 1\n", CaseKeyUnknown),
    ],
    ids=[
        "anchor",
        "depth",
        "unclosed",
        "control character",
        "unknown key of a case",
        "unknown key of the file",
    ],
)
async def test_unusable_file_is_refused_by_name(content: str, expected: type[CaseMalformed]) -> None:
    with pytest.raises(expected) as refused:
        await open_case_file(LawCaseFileIn(file_name="mine.yaml", content=content))
    assert "mine.yaml" in refused.value.sentence("en")


def test_case_with_too_many_facts_is_refused_and_later_instants_are_named() -> None:
    facts = ", ".join(
        f"{{attendance: {{id: n{n}, at: 2025-09-08 09:00, present: true}}}}" for n in range(MAX_FACTS)
    )
    full = CASE.replace("    expect:", f"    facts: [{facts}]\n    expect:")
    at = ", ".join(f"{{at: 2025-09-{day:02} 12:00}}" for day in range(1, MAX_INSTANTS + 2))
    [case] = parse_uploaded_cases(full.replace("{at: 2025-09-22 24:00}", at), "case.yaml")
    assert OpenedLawCaseOut.of(case, "case.yaml").ignored == [f"expect.{MAX_INSTANTS}"]
    more = full.replace(
        "{attendance: {id: n0,", "{transfer: {id: t, at: 2025-09-08 09:00}}, {attendance: {id: n0,"
    )
    [case] = parse_uploaded_cases(more, "case.yaml")
    with pytest.raises(CaseValueBad):
        OpenedLawCaseOut.of(case, "case.yaml")
