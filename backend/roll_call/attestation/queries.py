"""The attestations of a roll call, for the school and the launching side."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.campus.tables import CampusSite, SiteVersion
from backend.core.actor import Actor
from backend.core.listing.pages import ListPage, PageRequest, load_page
from backend.core.listing.sorts import ListSorts, by_name
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


AttestationSort = Literal["at", "-at", "name", "-name"]
ATTESTATION_SORTS = ListSorts(
    Attestation.student_id, {"at": Attestation.at, "name": by_name(Student.name)}, default="at"
)


async def load_attestations_page(
    session: AsyncSession, actor: Actor, roll_call: RollCall, request: PageRequest
) -> ListPage[AttestationView]:
    """A page of the attestations that the caller sees; a counselor sees those of their own classes."""
    page = (
        select(Attestation, Student.name, SchoolClass.name, CampusSite.name, Account.display_name)
        .join(Student, Student.id == Attestation.student_id)
        .join(SchoolClass, SchoolClass.id == Attestation.class_id)
        .outerjoin(SiteVersion, SiteVersion.id == Attestation.site_version_id)
        .outerjoin(CampusSite, CampusSite.id == SiteVersion.site_id)
        .outerjoin(Account, Account.id == Attestation.attested_by)
        .where(Attestation.term_code == roll_call.term_code, Attestation.roll_call_id == roll_call.id)
    )
    own_classes = select_counselor_classes(actor)
    if own_classes is not None:
        page = page.where(Attestation.class_id.in_(own_classes))
    found = await load_page(session, page, ATTESTATION_SORTS, request)
    return found.with_rows([AttestationView(*row) for row in found.rows])


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
