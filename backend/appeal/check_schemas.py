"""Wire schema of the roll calls that a matter under appeal rests on."""

from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import BaseModel, Field

from backend.roll_call.tables import RollCall


class AppealCheckOut(BaseModel):
    """A roll call that the matter under appeal rests on."""

    roll_call_id: UUID
    title: str = Field(examples=["学籍核验"])
    opens_at: datetime
    closes_at: datetime

    @classmethod
    def of(cls, roll_call: RollCall) -> Self:
        """Build the response for a roll call."""
        return cls(
            roll_call_id=roll_call.id,
            title=roll_call.title,
            opens_at=roll_call.opens_at,
            closes_at=roll_call.deadline,
        )
