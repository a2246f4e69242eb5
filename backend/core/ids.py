"""Identifiers: time-ordered UUIDs (RFC 9562, version 7), so that new index entries go to one end."""

from uuid import UUID

import uuid_utils.compat


def new_id() -> UUID:
    """A new UUIDv7."""
    identifier: UUID = uuid_utils.compat.uuid7()
    return identifier
