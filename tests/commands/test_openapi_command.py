"""`dianming openapi` prints the documents without a server."""

import json

import pytest

from backend.commands import openapi_command
from tests.tenancy.openapi_documents import document


@pytest.mark.parametrize("api", ["mobile", "staff"])
def test_printed_document_is_the_one_that_is_served(api: str, capsys: pytest.CaptureFixture[str]) -> None:
    openapi_command.command(api)  # type: ignore[arg-type]
    assert json.loads(capsys.readouterr().out) == document(api)
