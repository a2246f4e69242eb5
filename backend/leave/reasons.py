"""Why somebody asks for leave, sealed at rest: opened for the student and the school's staff, for nobody above."""

from uuid import UUID

from backend.core.keys import KeyRing
from backend.leave.tables import LeaveRequest

_PURPOSE = "health"


def sealed_reason(keys: KeyRing, leave_id: UUID, reason: str) -> bytes:
    """The reason of one request, which opens in its own row only."""
    return keys.encrypt(_PURPOSE, reason.encode(), _context(leave_id))


def reason_of(keys: KeyRing, request: LeaveRequest) -> str:
    """The reason in clear; for showing, never for storing or logging."""
    return keys.decrypt(_PURPOSE, request.reason_sealed, _context(request.id)).decode()


def _context(leave_id: UUID) -> bytes:
    return b"leave-reason:" + leave_id.bytes
