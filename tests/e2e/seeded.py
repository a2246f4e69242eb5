"""The pages of a counselor with one of everything that waits for a decision, which the small organisation does not have.

The records are those of the tenancy tests; the pictures of students among them are drawn.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from uuid import UUID

import uvicorn
from sqlalchemy import select

from backend.app import create_app
from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.devstack.supervisor import wait_until_ready
from backend.identity.face.picture_refs import EnrolmentRef, PortraitRef
from backend.identity.tables import FaceEnrolment, Portrait
from backend.settings import Settings
from tests.e2e.system import free_port
from tests.support.identity.staff_user import StaffUser
from tests.support.pictures import seal_and_store
from tests.support.roll_call.student_phone import render_burst
from tests.tenancy.fixtures import TenancyScenario, open_tenancy_scenario

PERSON = 7
"""Whom the drawn pictures show."""


@dataclass(frozen=True, slots=True)
class Seeded:
    """The served scenario: its address and its records by name."""

    url: str
    scenario: TenancyScenario

    def staffer(self, role: str) -> StaffUser:
        """The signed-in account of a role."""
        return self.scenario.staff_member(role).staffer

    def record(self, name: str) -> UUID:
        """The id of a record of the school."""
        record: UUID = self.scenario.records["school"][name]
        return record

    async def renew_tokens(self, *roles: str) -> None:
        """Get new tokens for the accounts of roles. Sign-ins move the clock, and a token expires after ten minutes."""
        for role in roles:
            staffer = self.staffer(role)
            renewed = await staffer.refresh(staffer.tokens["refresh_token"])
            assert renewed.is_success, renewed.text
            staffer.tokens = renewed.json()


@asynccontextmanager
async def serve_scenario(app_context: AppContext, owner: Database) -> AsyncIterator[Seeded]:
    """Create the scenario and serve it from this process."""
    url = f"http://127.0.0.1:{free_port()}"
    # Not model_copy: it would keep the cached addresses of the original.
    settings = Settings.model_validate({**app_context.settings.model_dump(), "public_url": url})
    own = replace(app_context, settings=settings)
    async with open_tenancy_scenario(own, owner) as scenario:
        await _draw_pictures(scenario)
        app = create_app(scenario.app_context)
        # The context belongs to the fixtures, which close it: the server must not.
        config = uvicorn.Config(
            app,
            port=int(url.rpartition(":")[2]),
            lifespan="off",
            log_level="warning",
            ws="none",
            date_header=False,  # a phone would believe it, but the clock of the scenario stands still
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        await wait_until_ready(f"{url}/healthz", [])
        yield Seeded(url, scenario)
        server.should_exit = True
        await serving


async def _draw_pictures(scenario: TenancyScenario) -> None:
    """Replace the stored pictures by ones that a browser can show."""
    drawn = render_burst(PERSON, count=1)[0]
    async with scenario.roll.owner_transaction() as session:
        portraits = (await session.scalars(select(Portrait))).all()
        enrolments = (await session.scalars(select(FaceEnrolment))).all()
    for portrait in portraits:
        await seal_and_store(scenario.app_context, PortraitRef.of(portrait).picture, drawn)
    for each in enrolments:
        shots = EnrolmentRef(each.id, each.school_id, each.student_id).pictures(each.shots)
        for picture in shots:
            await seal_and_store(scenario.app_context, picture, drawn)
