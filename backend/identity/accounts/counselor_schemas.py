"""Wire schemas of invitations of many counselors."""

from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import BaseModel, Field

from backend.core.web.bulk_schemas import RowErrorOut, RowOutcome
from backend.core.web.schema_types import OneOf, Schema, ShortText
from backend.identity.accounts.counselor_invitations import MAX_ROWS, CounselorRow, InvitedRow
from backend.identity.accounts.schemas import InvitationOut, invitation_out
from backend.org.tables import OrgUnit


class CounselorRowIn(Schema):
    """A row of the list. What is wrong with it is said in the result of the row."""

    name: ShortText = Field(examples=["李老师"])
    phone: ShortText = Field(examples=["13800000000"])
    login: ShortText | None = Field(
        default=None, description="不填则用手机号 · the phone number by default", examples=["li.laoshi"]
    )
    class_names: list[ShortText] = Field(default=[], max_length=10, examples=[["2024级1班"]])

    def to_row(self) -> CounselorRow:
        """The row of the service."""
        return CounselorRow(self.name, self.phone, self.login or "", tuple(self.class_names))


class CounselorListIn(Schema):
    """The counselors to invite."""

    rows: list[CounselorRowIn] = Field(min_length=1, max_length=MAX_ROWS)


class InvitedRowOut(BaseModel):
    """What became of a row. `invitation` is null if it was refused, and in a check."""

    row: int = Field(description="行号，从 1 起 · number of the row, from 1", examples=[1])
    name: str = Field(examples=["李老师"])
    login: str = Field(examples=["13800000000"])
    outcome: Annotated[str, OneOf(RowOutcome)] = Field(examples=["done"])
    error: RowErrorOut | None = Field(description="未办理的原因 · why it was refused", examples=[None])
    invitation: InvitationOut | None


class InvitedRowsOut(BaseModel):
    """One result a row, in the order of the request. `done` counts in a check what could be invited."""

    rows: list[InvitedRowOut]
    done: int = Field(examples=[1])
    refused: int = Field(examples=[0])

    @classmethod
    def of_check(cls, results: Sequence[InvitedRow]) -> Self:
        """The response of a check, without codes: they would not work."""
        return cls._of([_row_out(number, each, None) for number, each in enumerate(results, 1)])

    @classmethod
    def of_invitations(cls, results: Sequence[InvitedRow], school: OrgUnit, public_url: str) -> Self:
        """The response with the codes, which are shown only once."""
        shown = [
            None if each.invitation is None else invitation_out(each.invitation, school, public_url)
            for each in results
        ]
        rows = zip(results, shown, strict=True)
        return cls._of([_row_out(number, each, out) for number, (each, out) in enumerate(rows, 1)])

    @classmethod
    def _of(cls, rows: list[InvitedRowOut]) -> Self:
        refused = sum(each.error is not None for each in rows)
        return cls(rows=rows, done=len(rows) - refused, refused=refused)


def _row_out(number: int, result: InvitedRow, invitation: InvitationOut | None) -> InvitedRowOut:
    return InvitedRowOut(
        row=number,
        name=result.row.name,
        login=result.login,
        outcome=RowOutcome.DONE if result.error is None else RowOutcome.REFUSED,
        error=None if result.error is None else RowErrorOut.of(result.error),
        invitation=invitation,
    )
