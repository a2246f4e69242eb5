"""The table of retention runs. The rows of deleted items are marked in their own tables."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base


class RetentionRun(Base):
    """One run over one kind: how much was deleted, and the time span of the items. Empty runs are recorded too."""

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
    """The number of check-ins, enrolments, portraits, students, attestations or views, depending on the kind."""
    files: Mapped[int]
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    """Total size of the deleted files, as far as it is recorded; null if it is not."""
    oldest: Mapped[datetime | None]
    newest: Mapped[datetime | None]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime]
