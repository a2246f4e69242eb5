"""Tables of passkeys: the public keys of staff accounts, and the challenges that were answered."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base


class Passkey(Base):
    """A passkey of a staff account. A removed one is kept without effect, for the audit."""

    __tablename__ = "passkey"
    __tenancy__ = "account"
    __table_args__ = (Index("ix_passkey_account", "account_id", "created_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"))
    credential_id: Mapped[bytes] = mapped_column(unique=True)
    public_key: Mapped[bytes]
    """In COSE form (RFC 9052)."""
    sign_count: Mapped[int] = mapped_column(BigInteger)
    """The authenticator's counter at the last use. Most passkeys always state 0."""
    name: Mapped[str]
    aaguid: Mapped[str]
    """The model of the authenticator; zeros if it does not say."""
    backed_up: Mapped[bool]
    """Whether the passkey is synchronised between devices of its owner."""
    created_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    removed_at: Mapped[datetime | None]


class AnsweredChallenge(Base):
    """A challenge that was answered: each takes effect once. A challenge that is not answered is stored nowhere."""

    __tablename__ = "answered_challenge"
    __tenancy__ = "ledger"
    __table_args__ = (Index("ix_answered_challenge_at", "at"),)

    challenge_hash: Mapped[bytes] = mapped_column(primary_key=True)
    at: Mapped[datetime]
