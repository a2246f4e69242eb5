"""Types of the wire that both APIs share."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticKnownError


def is_storable(value: str) -> bool:
    """Whether PostgreSQL and UTF-8 can hold the text: no NUL, no half of a surrogate pair."""
    return "\0" not in value and not any("\ud800" <= character <= "\udfff" for character in value)


def printable(value: str) -> str:
    """The text with whatever is no Unicode text escaped: for sentences that quote what a client made up."""
    return value.encode("utf-8", "backslashreplace").decode()


def _storable(value: str) -> str:
    if not is_storable(value):
        msg = "control characters are not text"
        raise ValueError(msg)
    return value


def _trimmed(value: str) -> str:
    """The text without the blanks around it. Lengths are judged before: what the document forbids is refused."""
    text = value.strip()
    if not text:
        raise PydanticKnownError("string_too_short", {"min_length": 1})
    return text


Line = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200),
    AfterValidator(_storable),
    AfterValidator(_trimmed),
]
"""One line of text that a person typed."""

Paragraph = Annotated[
    str,
    StringConstraints(min_length=1, max_length=4000),
    AfterValidator(_storable),
    AfterValidator(_trimmed),
]
"""Text that a person wrote: reasons, opinions, statements."""

Moment = Annotated[
    AwareDatetime,
    Field(ge=datetime(2000, 1, 1, tzinfo=UTC), lt=datetime(2100, 1, 1, tzinfo=UTC)),
]
"""An instant with its offset, within what every calendar and every zone can show."""


class Schema(BaseModel):
    """Base of request bodies: unknown fields are refused, so that no extra field can set a result."""

    model_config = ConfigDict(extra="forbid")
