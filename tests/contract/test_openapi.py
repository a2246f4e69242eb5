"""What the APIs answer is what their OpenAPI documents say, to good requests and to bad ones."""

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

from tests.contract.caller import Caller
from tests.tenancy.openapi_documents import document

pytestmark = pytest.mark.xdist_group("contract")  # a company takes seconds to assemble: one process does

EXAMPLES = {GenerationMode.POSITIVE: 10, GenerationMode.NEGATIVE: 5}
"""Cases for each operation; the same ones in every run. Fewer bad ones: `test_odd_input` spoils each place of each
body, path and query in every way it knows."""

OF_AN_ADDRESS = {GenerationMode.POSITIVE: 5, GenerationMode.NEGATIVE: 3}
"""Cases for an operation that takes nothing but ids in its path: of those there are few kinds."""

SLOW = {"/v1/roster-imports": 4, "/v1/aid-payment-imports": 4}
"""Operations that start a process for each request take fewer."""

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


def operations() -> Iterator[Any]:
    """Every operation of both APIs with good data and, where there is something to spoil, with bad data."""
    for api in ("staff", "mobile"):
        for found in schemathesis.openapi.from_dict(document(api)).get_all_operations():
            operation: Any = found.ok()  # type: ignore[union-attr]  # an Err ends the collection here
            takes_data = "{" in operation.path or operation.query or operation.body
            for mode in GenerationMode if takes_data else [GenerationMode.POSITIVE]:
                yield pytest.param(api, operation, mode, id=f"{api} {operation.label} {mode.value}")


@pytest.fixture(autouse=True)
def _same_cases_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hypothesis tries constants that it finds in the modules of the process, whichever happen to be loaded: without
    them the cases change with the operation and with nothing else.
    """
    monkeypatch.setattr(providers.HypothesisProvider, "_local_constants", Constants())
    monkeypatch.setattr(providers, "CONSTANTS_CACHE", LRUCache(1024))


def examples(operation: Any, mode: GenerationMode) -> int:
    usual = EXAMPLES if operation.query or operation.body else OF_AN_ADDRESS
    return SLOW.get(operation.path, usual[mode])


@pytest.mark.parametrize(("api", "operation", "mode"), list(operations()))
def test_every_answer_is_documented(caller: Caller, api: str, operation: Any, mode: GenerationMode) -> None:
    @settings(
        max_examples=examples(operation, mode),
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def answers(case: Case[Any]) -> None:
        case.validate_response(caller.send(api, case), checks=CHECKS)

    answers()
