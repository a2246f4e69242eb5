"""Field types that the schemas of both APIs share."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticKnownError


def is_storable(value: str) -> bool:
    """Whether PostgreSQL can store the text as UTF-8: no NUL, no lone surrogate."""
    return "\0" not in value and not any("\ud800" <= character <= "\udfff" for character in value)


def printable(value: str) -> str:
    """The text with invalid Unicode escaped, for error messages that quote input."""
    return value.encode("utf-8", "backslashreplace").decode()


def _require_storable(value: str) -> str:
    if not is_storable(value):
        msg = "control characters are not text"
        raise ValueError(msg)
    return value


def _trim(value: str) -> str:
    """Strip whitespace. Runs after the length checks, so that they match the OpenAPI document."""
    text = value.strip()
    if not text:
        raise PydanticKnownError("string_too_short", {"min_length": 1})
    return text


ShortText = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200),
    AfterValidator(_require_storable),
    AfterValidator(_trim),
]
"""One line of text typed by a person."""

LongText = Annotated[
    str,
    StringConstraints(min_length=1, max_length=4000),
    AfterValidator(_require_storable),
    AfterValidator(_trim),
]
"""Text written by a person: reasons, opinions, statements."""

Timestamp = Annotated[
    AwareDatetime,
    Field(ge=datetime(2000, 1, 1, tzinfo=UTC), lt=datetime(2100, 1, 1, tzinfo=UTC)),
]
"""A time with its UTC offset, within a range that every time zone can represent."""


class Schema(BaseModel):
    """Base of request bodies. Unknown fields are rejected, so that no extra field can set a result."""

    model_config = ConfigDict(extra="forbid")
