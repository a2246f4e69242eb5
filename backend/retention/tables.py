"""What retention deleted. The rows of what was deleted say so themselves."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base


class RetentionRun(Base):
    """One kind in one run: how much went, from when to when it was taken. A run that found nothing says so too."""

    __tablename__ = "retention_run"
    __tenancy__ = "org"
    __table_args__ = (
        CheckConstraint("(items = 0) = (oldest IS NULL)", name="oldest"),
        CheckConstraint("(items = 0) = (newest IS NULL)", name="newest"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    org_path: Mapped[str]
    kind: Mapped[str]
    items: Mapped[int]
    """Check-ins, enrolments, portraits, students: what the kind counts."""
    files: Mapped[int]
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    """Bytes of the files, as far as their rows know them; null where none does."""
    oldest: Mapped[datetime | None]
    newest: Mapped[datetime | None]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime]
