"""The responses of both APIs match their OpenAPI documents, for valid and invalid requests."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.internal.cache import LRUCache
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from tests.contract.case_sender import CaseSender
from tests.tenancy.openapi_documents import document

pytestmark = pytest.mark.xdist_group("contract")  # creating the accounts takes seconds: do it in one process

EXAMPLES = {GenerationMode.POSITIVE: 10, GenerationMode.NEGATIVE: 5}
"""Cases per operation, the same in every run. Fewer invalid ones, since `test_odd_input` changes every value of each
body, path and query."""

PATH_ONLY_EXAMPLES = {GenerationMode.POSITIVE: 5, GenerationMode.NEGATIVE: 3}
"""Cases per operation that has only ids in its path."""

SLOW = {"/v1/roster-imports": 4, "/v1/roster-annotations": 4, "/v1/aid-payment-imports": 4}
"""Fewer cases for operations that start a process per request."""

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


def operations() -> Iterator[Any]:
    """Every operation of both APIs with valid data and, if it takes any data, with invalid data."""
    for api in ("staff", "mobile"):
        for found in schemathesis.openapi.from_dict(without_security(document(api))).get_all_operations():
            operation: Any = found.ok()  # type: ignore[union-attr]  # an Err ends the collection here
            takes_data = "{" in operation.path or operation.query or operation.body
            for mode in GenerationMode if takes_data else [GenerationMode.POSITIVE]:
                yield pytest.param(api, operation, mode, id=f"{api} {operation.label} {mode.value}")


def without_security(schema: dict[str, Any]) -> dict[str, Any]:
    """Schemathesis would send wrong credentials as invalid data, but `CaseSender` replaces them by valid ones."""
    schema = copy.deepcopy(schema)
    del schema["components"]["securitySchemes"]
    for operations_of_path in schema["paths"].values():
        for operation in operations_of_path.values():
            del operation["security"]
    return schema


@pytest.fixture(autouse=True)
def _same_cases_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the constants that Hypothesis finds in loaded modules, the cases depend on the operation alone."""
    monkeypatch.setattr(providers.HypothesisProvider, "_local_constants", Constants())
    monkeypatch.setattr(providers, "CONSTANTS_CACHE", LRUCache(1024))


def examples(operation: Any, mode: GenerationMode) -> int:
    default = EXAMPLES if operation.query or operation.body else PATH_ONLY_EXAMPLES
    return SLOW.get(operation.path, default[mode])


@pytest.mark.parametrize(("api", "operation", "mode"), list(operations()))
def test_responses_match_the_openapi_document(
    case_sender: CaseSender, api: str, operation: Any, mode: GenerationMode
) -> None:
    @settings(
        max_examples=examples(operation, mode),
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def validate(case: Case[Any]) -> None:
        case.validate_response(case_sender.send(api, case), checks=CHECKS)

    validate()
