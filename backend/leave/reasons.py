"""Reasons of leave, encrypted at rest. Only the student and the school's staff read them, never superiors."""

from uuid import UUID

from backend.core.keys import KeyRing
from backend.leave.tables import LeaveRequest

_PURPOSE = "health"


def encrypt_reason(keys: KeyRing, leave_id: UUID, reason: str) -> bytes:
    """Encrypt the reason, bound to the id of its request."""
    return keys.encrypt(_PURPOSE, reason.encode(), _associated_data(leave_id))


def decrypt_reason(keys: KeyRing, request: LeaveRequest) -> str:
    """Decrypt the reason for display. Never store or log it."""
    return keys.decrypt(_PURPOSE, request.reason_sealed, _associated_data(request.id)).decode()


def _associated_data(leave_id: UUID) -> bytes:
    return b"leave-reason:" + leave_id.bytes
