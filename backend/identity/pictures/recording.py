"""The record of who looked at pictures of a student's face or at the positions of the student's check-ins.

The student and the school read both in one list (`views.py`).
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit
from backend.core.actor import Actor
from backend.core.ids import new_id
from backend.identity.pictures.purposes import PicturePurpose
from backend.identity.pictures.tables import PictureView


class ViewedKind(StrEnum):
    """What was looked at: one picture of a kind (`PictureKind`), or the positions of the check-ins of a roll call."""

    FRAME = "frame"
    ENROLMENT_SHOT = "enrolment_shot"
    REBINDING_SHOT = "rebinding_shot"
    PORTRAIT = "portrait"
    POSITIONS = "positions"
    """The source is the roll call, the position 0."""


@dataclass(frozen=True, slots=True)
class Viewed:
    """What a member of the staff looks at."""

    kind: ViewedKind
    school_id: UUID
    student_id: UUID
    source_id: UUID
    position: int = 0


def record_view(
    session: AsyncSession, actor: Actor, viewed: Viewed, purpose: PicturePurpose, at: datetime
) -> None:
    """Insert a row for the student to read, and an audit entry. Neither holds what was seen.

    The caller has checked, in the same transaction, that the actor may see it.
    """
    session.add(
        PictureView(
            id=new_id(),
            school_id=viewed.school_id,
            student_id=viewed.student_id,
            account_id=actor.account_id,
            role=actor.role,
            org_path=actor.org_path,
            kind=viewed.kind,
            source_id=viewed.source_id,
            position=viewed.position,
            purpose=purpose,
            at=at,
        )
    )
    after = {
        "kind": viewed.kind,
        "source": str(viewed.source_id),
        "position": viewed.position,
        "purpose": purpose,
    }
    action = "PositionsViewed" if viewed.kind is ViewedKind.POSITIONS else "PictureViewed"
    act = audit.Act(action, "student", str(viewed.student_id), actor.org_path, after=after)
    audit.record(session, act, at)
