"""Text that people send: lengths are judged as sent, blanks around it are left out."""

import pytest
from pydantic import TypeAdapter, ValidationError

from backend.core.web.schema_types import Line, Paragraph

ACCEPTED = [("  迟到 ", "迟到"), ("a" * 200, "a" * 200), ("\u3000返校\n", "返校")]
REFUSED = ["", "   ", "a" * 201, " " + "a" * 200, "a" + " " * 200, "a\0b", "\ud800"]


@pytest.mark.parametrize(("sent", "kept"), ACCEPTED)
def test_blanks_around_are_left_out(sent: str, kept: str) -> None:
    assert TypeAdapter(Line).validate_python(sent) == kept


@pytest.mark.parametrize("sent", REFUSED)
def test_what_the_document_forbids_is_refused_before_it_is_trimmed(sent: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Line).validate_python(sent)


def test_a_paragraph_may_be_longer() -> None:
    assert TypeAdapter(Paragraph).validate_python(" " + "字" * 3999) == "字" * 3999
    with pytest.raises(ValidationError):
        TypeAdapter(Paragraph).validate_python(" " + "字" * 4000)
