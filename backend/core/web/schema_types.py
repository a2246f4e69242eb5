"""Field types that the schemas of both APIs share."""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Annotated, Any, get_args

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    StringConstraints,
)
from pydantic_core import CoreSchema, PydanticCustomError, PydanticKnownError

_NUMBER = re.compile(r"\s*[+-]?\d+(\.\d*)?\s*")


def is_storable(value: str) -> bool:
    """Whether PostgreSQL can store the text as UTF-8: no NUL, no lone surrogate."""
    return "\0" not in value and not any("\ud800" <= character <= "\udfff" for character in value)


def printable(value: str) -> str:
    """The text with invalid Unicode escaped, for error messages that quote input."""
    return value.encode("utf-8", "backslashreplace").decode()


def require_storable(value: str) -> str:
    """The text, or a validation error: PostgreSQL cannot store it, and neither JSON nor YAML can carry it."""
    if not is_storable(value):
        raise PydanticCustomError(
            "text_not_storable",
            "control characters are not text",
            {"zh": "含有不能保存的控制字符，请删去"},
        )
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
    AfterValidator(require_storable),
    AfterValidator(_trim),
]
"""One line of text typed by a person."""

LongText = Annotated[
    str,
    StringConstraints(min_length=1, max_length=4000),
    AfterValidator(require_storable),
    AfterValidator(_trim),
]
"""Text written by a person: reasons, opinions, statements."""


def _refuse_epoch(value: object) -> object:
    """Refuse a number, also as text: pydantic would read it as seconds or milliseconds since 1970."""
    if isinstance(value, (int, float)) or (isinstance(value, str) and _NUMBER.fullmatch(value)):
        raise PydanticCustomError(
            "number_is_no_date",
            "Input should be a date or time in ISO 8601, not a number",
            {"zh": "应为 ISO 8601 的日期或时间，例如 2026-03-02，不能是数字"},
        )
    return value


class OneOf:
    """Documents the values of a text in a response as an enumeration: `Annotated[str, OneOf(LeaveState)]`.

    Takes an enumeration, a `Literal` alias or the values themselves. A response is not checked against them when it is
    built: constraints of the database and the rules guarantee the values, and tests compare responses with the document.
    """

    def __init__(self, *values: Any) -> None:
        self.values = [str(each) for value in values for each in _values_of(value)]

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return handler(core_schema) | {"enum": self.values}


def _values_of(value: Any) -> Iterable[Any]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, type) and issubclass(value, StrEnum):
        return tuple(value)
    return get_args(value) or value  # the arguments of a Literal, or a collection


Timestamp = Annotated[
    AwareDatetime,
    BeforeValidator(_refuse_epoch),
    Field(ge=datetime(2000, 1, 1, tzinfo=UTC), lt=datetime(2100, 1, 1, tzinfo=UTC)),
]
"""A time with its UTC offset, within a range that every time zone can represent."""

Day = Annotated[date, Field(ge=date(2000, 1, 1), lt=date(2100, 1, 1)), BeforeValidator(_refuse_epoch)]
"""A calendar day without a time."""


class Schema(BaseModel):
    """Base of request bodies. Unknown fields are rejected, so that no extra field can set a result."""

    model_config = ConfigDict(extra="forbid")
