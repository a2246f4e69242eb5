"""The kinds of records in a timeline, and which role reads which."""

from enum import StrEnum

from backend.core.actor import Actor
from backend.core.errors import NotPermitted


class TimelineKind(StrEnum):
    """A kind of record."""

    ROLL_CALL = "roll_call"
    PROMPT = "prompt"
    STATEMENT = "statement"
    STANDING = "standing"
    CHANGE_REQUEST = "change_request"
    AID_APPLICATION = "aid_application"
    AID_PAYMENT = "aid_payment"
    AID_FILING = "aid_filing"
    APPEAL = "appeal"
    LEAVE = "leave"
    ATTENDANCE = "attendance"
    CLAIM = "claim"
    PICTURE_VIEW = "picture_view"


OF_THE_SCHOOL = frozenset({TimelineKind.ROLL_CALL, TimelineKind.LEAVE, TimelineKind.ATTENDANCE})
"""For registrars and counselors. Reasons for leave are health data."""

NOT_FOR_COUNSELORS = frozenset({TimelineKind.CHANGE_REQUEST, TimelineKind.APPEAL, TimelineKind.PICTURE_VIEW})


def readable_kinds(actor: Actor, wanted: TimelineKind | None = None) -> tuple[TimelineKind, ...]:
    """The kinds that a member of the staff may read, or the wanted one. Raises `NotPermitted` if it is not among them."""
    hidden = {"registrar": frozenset[TimelineKind](), "counselor": NOT_FOR_COUNSELORS}
    kinds = tuple(kind for kind in TimelineKind if kind not in hidden.get(actor.role, OF_THE_SCHOOL))
    if wanted is None:
        return kinds
    if wanted not in kinds:
        raise NotPermitted(
            reason_zh="您的角色不能查阅这类记录", reason_en="your role does not read records of this kind"
        )
    return (wanted,)
