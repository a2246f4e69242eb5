"""API schemas of imported payment files."""

from pydantic import BaseModel, Field

from backend.aid.schemas import PaymentsOut
from backend.exchange.roster.schemas import FindingOut


class PaymentFileOut(BaseModel):
    """The findings of a payment file and, unless it was a dry run, what was recorded."""

    dry_run: bool
    file_sha256: str
    rows: int = Field(examples=[620])
    findings: list[FindingOut]
    report: PaymentsOut | None
