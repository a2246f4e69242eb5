"""Text fields: lengths are checked as sent, then surrounding whitespace is stripped."""

import pytest
from pydantic import TypeAdapter, ValidationError

from backend.core.web.schema_types import LongText, ShortText

ACCEPTED = [("  迟到 ", "迟到"), ("a" * 200, "a" * 200), ("\u3000返校\n", "返校")]
REJECTED = ["", "   ", "a" * 201, " " + "a" * 200, "a" + " " * 200, "a\0b", "\ud800"]


@pytest.mark.parametrize(("sent", "stored"), ACCEPTED)
def test_surrounding_whitespace_is_stripped(sent: str, stored: str) -> None:
    assert TypeAdapter(ShortText).validate_python(sent) == stored


@pytest.mark.parametrize("sent", REJECTED)
def test_lengths_are_checked_before_stripping(sent: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(ShortText).validate_python(sent)


def test_paragraph_may_be_longer() -> None:
    assert TypeAdapter(LongText).validate_python(" " + "字" * 3999) == "字" * 3999
    with pytest.raises(ValidationError):
        TypeAdapter(LongText).validate_python(" " + "字" * 4000)
