"""Types of the wire that both APIs share."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints


def _no_nul(value: str) -> str:
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        msg = "control characters are not text"
        raise ValueError(msg)
    return value


Line = Annotated[
    str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True), AfterValidator(_no_nul)
]
"""One line of text that a person typed."""

Paragraph = Annotated[
    str, StringConstraints(min_length=1, max_length=4000, strip_whitespace=True), AfterValidator(_no_nul)
]
"""Text that a person wrote: reasons, opinions, statements."""


class Wire(BaseModel):
    """Base of request bodies: unknown fields are refused, so that no extra field can set a result."""

    model_config = ConfigDict(extra="forbid")
