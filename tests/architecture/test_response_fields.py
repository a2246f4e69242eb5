"""Fields of responses that have one of a few values say so in the OpenAPI documents, so that clients can be typed."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from backend.people.categories import STANDING_CODES
from backend.roll_call.rules import NotCountedReason
from backend.standing.explanations.phrases import STANDINGS
from backend.standing.student_view.counting import NOT_COUNTED
from tests.tenancy.openapi_documents import document

ENUMERATED = re.compile(
    "(?!term_code)(.*_)?(state|status|kind|outcome|reason|finding|cause|phase|duty|method|step|side|role|level|severity|route|effect"
    "|standing|study_form|sex|programme|appellant|target|how|answer|code)(_before|_after)?"
)
OPEN_FIELDS = {
    "written by a person": {
        "AreaExceptionOut.reason",
        "AttestationSampleOut.reason",
        "GaokaoEligibilityOut.finding",
        "LeaveOut.reason",
        "ListedAttestationOut.reason",
        "ResetOut.reason",
        "StaffObjectionOut.reason",
        "StaffRollCallOut.void_reason",
    },
    "defined by the policies, with its words beside it or in a catalogue of the API": {
        "ChangeRequestDetailOut.change_kind",
        "ChangeRequestOut.change_kind",
        "ChangeSubjectOut.outcome",
        "ClaimOut.reason_code",
        "EligibilityChangeOut.outcome",
        "JustifiedReasonOut.code",
        "LabelledCodeOut.code",
        "StandingEntryOut.change_kind",
        "StandingEntryOut.outcome",
        "TimelineChangeRequestOut.change_kind",
        "TimelineStandingOut.change_kind",
    },
    "a stable code of docs/errors.md or of the libraries, with its words beside it": {
        "AttemptReasonOut.code",
        "AttemptRefusalOut.code",
        "DeadLetterOut.code",
        "ExplainedReasonOut.code",
        "FieldProblem.code",
        "FindingOut.code",
        "LaunchProblemOut.code",
        "OutlineProblem.code",
        "OutlineWarningOut.code",
        "OwnRefusalOut.code",
        "PictureReasonOut.code",
        "Problem.code",
        "RowErrorOut.code",
        "SkippedStudentOut.code",
    },
    "a number or a secret": {
        "BindingCodeOut.code",
        "CardCodeRowOut.code",
        "CodeOut.code",
        "InvitationOut.activation_code",
        "OverdueOut.code",
        "ChangeKindOut.code",
        "PreviewSchoolOut.code",
        "RehearsalCohortOut.code",
        "TermOut.code",
        "ResetOut.activation_code",
        "SchoolOut.code",
        "UnitOut.code",
        "UnitOutlineOut.code",
    },
    "every package adds kinds of notices, and each has its title and body": {"NoticeOut.kind"},
    "names the record that caused it": {"PostingOut.cause"},
}


def referenced_schemas(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"].rpartition("/")[2]
        for each in value.values():
            yield from referenced_schemas(each)
    elif isinstance(value, list):
        for each in value:
            yield from referenced_schemas(each)


def response_schemas(api: str) -> dict[str, dict[str, Any]]:
    """The schemas of all responses of an API, with those they refer to."""
    schemas = document(api)["components"]["schemas"]
    operations = [each for path in document(api)["paths"].values() for each in path.values()]
    waiting = {name for operation in operations for name in referenced_schemas(operation["responses"])}
    found: dict[str, dict[str, Any]] = {}
    while waiting:
        name = waiting.pop()
        found[name] = schemas[name]
        waiting |= set(referenced_schemas(schemas[name])) - set(found)
    return found


def is_plain_text(field: dict[str, Any]) -> bool:
    choices = field.get("anyOf", [field])
    items = [each.get("items", each) for each in choices]
    return any(each.get("type") == "string" and not {"enum", "const", "format"} & set(each) for each in items)


def plain_codes(api: str) -> set[str]:
    return {
        f"{name}.{field}"
        for name, schema in response_schemas(api).items()
        for field, described in schema.get("properties", {}).items()
        if ENUMERATED.fullmatch(field) and is_plain_text(described)
    }


@pytest.mark.parametrize("api", ["staff", "mobile"])
def test_fields_with_a_few_values_are_enumerations(api: str) -> None:
    allowed = {field for fields in OPEN_FIELDS.values() for field in fields}
    assert plain_codes(api) - allowed == set()


def test_list_of_open_fields_is_up_to_date() -> None:
    allowed = {field for fields in OPEN_FIELDS.values() for field in fields}
    assert allowed - plain_codes("staff") - plain_codes("mobile") == set()


def test_enumerated_codes_are_those_that_have_words() -> None:
    assert set(STANDING_CODES) == set(STANDINGS)
    assert set(NotCountedReason.__args__) == set(NOT_COUNTED)  # type: ignore[attr-defined]
