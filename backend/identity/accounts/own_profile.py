"""What a student's app needs to know at its start: who the student is, whom to turn to, and what is possible now."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.clock import legal_day
from backend.core.errors import NotFound
from backend.identity.accounts.activation import open_activation_steps
from backend.identity.accounts.readiness import IN_SCHOOL_STANDINGS
from backend.identity.consents import has_chosen_non_face_route, has_reachable_guardian
from backend.identity.devices.service import load_active_device
from backend.identity.face.templates import has_active_template
from backend.identity.rules import age_on
from backend.identity.tables import DeviceKey
from backend.org.tables import OrgUnit
from backend.people.attachments import attachment_policy
from backend.people.own_counselor import OwnCounselor, load_own_counselor
from backend.people.tables import SchoolClass, Student
from backend.policy import PolicyAt


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """Limits of what the app may send."""

    attachment_bytes: int
    attachments_per_subject: int
    face_pictures_min: int
    face_pictures_max: int


@dataclass(frozen=True, slots=True)
class OwnProfile:
    """The student with school, class and counselor, the open steps of activation, and what there is for check-ins."""

    student: Student
    school: OrgUnit
    school_class: SchoolClass
    counselor: OwnCounselor | None
    open_steps: list[str]
    without_face: bool
    device: DeviceKey | None
    has_face: bool
    has_guardian: bool
    needs_guardian: bool
    is_verified: bool
    limits: UploadLimits

    @property
    def route(self) -> Literal["face", "non_face"]:
        return "non_face" if self.without_face else "face"

    @property
    def may_check_in(self) -> bool:
        """Whether the student can check in by phone in a roll call: by face, with every step of activation done."""
        return self.is_verified and self.has_face and not self.without_face and not self.open_steps


async def load_own_profile(session: AsyncSession, actor: Actor, policy: PolicyAt, at: datetime) -> OwnProfile:
    """The profile of the student who asks. Raises `NotFound` for a student who is no longer on the roll."""
    assert actor.student_id is not None
    student = await session.get(Student, actor.student_id)
    if student is None:
        raise NotFound
    below = policy.integer("identity.guardian_consent_below")
    return OwnProfile(
        student=student,
        school=await session.get_one(OrgUnit, student.school_id),
        school_class=await session.get_one(SchoolClass, student.class_id),
        counselor=await load_own_counselor(session),
        open_steps=await open_activation_steps(session, student.id),
        without_face=await has_chosen_non_face_route(session, student.id),
        device=await load_active_device(session, student.id),
        has_face=await has_active_template(session, student.id),
        has_guardian=await has_reachable_guardian(session, student.id),
        needs_guardian=age_on(student.birth_date, legal_day(at)) < below,
        is_verified=student.study_form in policy.texts("audience.verified_study_forms")
        and student.standing in IN_SCHOOL_STANDINGS,
        limits=_load_limits(actor, policy, at),
    )


def _load_limits(actor: Actor, policy: PolicyAt, at: datetime) -> UploadLimits:
    attachments = attachment_policy(actor, at)
    return UploadLimits(
        attachment_bytes=attachments.integer("attachment.size_limit"),
        attachments_per_subject=attachments.integer("attachment.per_subject"),
        face_pictures_min=policy.integer("verification.face.enrolment_shots"),
        face_pictures_max=policy.integer("verification.face.enrolment_shots_max"),
    )
