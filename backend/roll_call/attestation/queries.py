"""The attestations of a roll call, for the school and the launching side."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from backend.campus.tables import CampusSite, SiteVersion
from backend.core.actor import Actor
from backend.identity.tables import Account
from backend.people.tables import SchoolClass, Student
from backend.roll_call.access import select_counselor_classes
from backend.roll_call.tables import Attestation, RollCall, RollCallSite


@dataclass(frozen=True, slots=True)
class AttestationView:
    """An attestation with names. Whether it is sampled for review is not part of it."""

    attestation: Attestation
    student_name: str
    class_name: str
    site_name: str | None
    attester_name: str | None


async def load_attestations_page(
    session: AsyncSession, actor: Actor, roll_call: RollCall, after: tuple[datetime, UUID] | None, limit: int
) -> Sequence[AttestationView]:
    """At most `limit` attestations that the caller sees, oldest first; a counselor sees those of their own classes."""
    key = (Attestation.at, Attestation.student_id)
    page = (
        select(Attestation, Student.name, SchoolClass.name, CampusSite.name, Account.display_name)
        .join(Student, Student.id == Attestation.student_id)
        .join(SchoolClass, SchoolClass.id == Attestation.class_id)
        .outerjoin(SiteVersion, SiteVersion.id == Attestation.site_version_id)
        .outerjoin(CampusSite, CampusSite.id == SiteVersion.site_id)
        .outerjoin(Account, Account.id == Attestation.attested_by)
        .where(Attestation.term_code == roll_call.term_code, Attestation.roll_call_id == roll_call.id)
        .order_by(*key)
        .limit(limit)
    )
    own_classes = select_counselor_classes(actor)
    if own_classes is not None:
        page = page.where(Attestation.class_id.in_(own_classes))
    if after is not None:
        page = page.where(tuple_(*key) > after)
    return [AttestationView(*row) for row in await session.execute(page)]


async def load_roll_call_sites(
    session: AsyncSession, roll_call: RollCall
) -> Sequence[tuple[RollCallSite, str | None]]:
    """The site versions frozen for a roll call in the caller's scope, with the names of their sites."""
    rows = await session.execute(
        select(RollCallSite, CampusSite.name)
        .outerjoin(SiteVersion, SiteVersion.id == RollCallSite.site_version_id)
        .outerjoin(CampusSite, CampusSite.id == SiteVersion.site_id)
        .where(RollCallSite.term_code == roll_call.term_code, RollCallSite.roll_call_id == roll_call.id)
        .order_by(RollCallSite.school_id, RollCallSite.site_version_id)
    )
    return [(row[0], row[1]) for row in rows]
