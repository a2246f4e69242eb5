"""Helpers for tests of change requests, including records that a verification has locked."""

from dataclasses import dataclass, field

from sqlalchemy import select, update

from backend.core.actor import Actor
from backend.core.ids import new_id
from backend.org.divisions import Divisions
from backend.org.service import NewCounty, add_county
from backend.org.tables import OrgUnit
from backend.people.tables import Student
from backend.policy import load_policies
from backend.standing.change_requests.queries import ChangeRequestView
from backend.standing.change_requests.service import (
    GiveOpinion,
    OpinionOutcome,
    RequestChange,
    give_opinion,
    request_change,
    withdraw_request,
)
from backend.standing.store.tables import PromptDecision, PromptDelivered, PromptRecord
from tests.support.province import SampleSchool, SampleStudent, SampleUnit, create_school, province_account
from tests.support.standing.scenario import StandingScenario


@dataclass(slots=True)
class ChangeRequestScenario:
    """A standing scenario with two registrars (the second never files) and the authorities of the school."""

    scenario: StandingScenario
    registrar: Actor = field(init=False)
    colleague: Actor = field(init=False)
    bureau: Actor = field(init=False)
    province: Actor = field(init=False)

    def __post_init__(self) -> None:
        self.registrar, self.colleague = self.scenario.registrar, self.scenario.registrar
        self.bureau, self.province = self.scenario.bureau, self.scenario.province

    @property
    def pupil(self) -> SampleStudent:
        return self.scenario.pupil

    async def file(
        self, kind: str, pupil: SampleStudent | None = None, actor: Actor | None = None
    ) -> ChangeRequestView:
        actor = actor or self.registrar
        command = RequestChange((pupil or self.pupil).id, kind, "因病住院，需休养")
        async with self.scenario.transaction(actor) as session:
            return await request_change(session, actor, command, self.scenario.at)

    async def answer(
        self,
        view: ChangeRequestView,
        actor: Actor,
        outcome: OpinionOutcome = "agreed",
        opinion: str | None = None,
    ) -> ChangeRequestView:
        command = GiveOpinion(view.request.id, outcome, opinion)
        async with self.scenario.transaction(actor) as session:
            return await give_opinion(session, actor, command, self.scenario.at)

    async def withdraw(self, view: ChangeRequestView, actor: Actor | None = None) -> ChangeRequestView:
        actor = actor or self.registrar
        async with self.scenario.transaction(actor) as session:
            return await withdraw_request(session, actor, view.request.id, "不再需要", self.scenario.at)

    async def change(self, kind: str, *levels: Actor) -> ChangeRequestView:
        """File a request and let every given level agree."""
        view = await self.file(kind)
        for actor in levels:
            view = await self.answer(view, actor)
        return view

    async def lock(self, outcome: str = "part_time") -> None:
        """Lock the record: two misses, a delivered prompt and the registrar's decision."""
        await self.scenario.misses(2)
        await self.scenario.recompute()
        await self.decide(outcome)

    async def decide(self, outcome: str = "part_time") -> None:
        """Deliver the student's newest prompt and decide it as the registrar."""
        [*_, prompt] = sorted(await self.scenario.rows(PromptRecord), key=lambda row: row.raised_at)
        common = {"school_id": prompt.school_id, "student_id": prompt.student_id, "prompt_id": prompt.id}
        async with self.scenario.roll_call_scenario.owner_transaction() as session:
            session.add(
                PromptDelivered(**common, at=self.scenario.at, how="in_app", note=None, acting_account=None)
            )
            await session.flush()
            session.add(
                PromptDecision(
                    id=new_id(),
                    **common,
                    role="registrar",
                    outcome=outcome,
                    reasons="核实属实",
                    found_reason=None,
                    found_text="",
                    decided_by=new_id(),
                    at=self.scenario.at,
                )
            )
        await self.scenario.recompute()
        self.scenario.pass_time(hours=1)

    async def enrol_in(self, programme: str) -> None:
        """Set the pupil's programme."""
        async with self.scenario.roll_call_scenario.owner_transaction() as session:
            await session.execute(
                update(Student).where(Student.id == self.pupil.id).values(programme=programme)
            )

    async def county_school(self) -> tuple[SampleSchool, SampleUnit]:
        """A school of a county below the city, and the county."""
        world, roll_call_scenario = self.scenario.roll_call_scenario.world, self.scenario.roll_call_scenario
        async with roll_call_scenario.owner_transaction() as session:
            county = await session.scalar(
                select(OrgUnit).where(OrgUnit.kind == "county", OrgUnit.code == "410122")
            )
            if county is None:
                new, divisions = NewCounty("410122", "中牟县"), Divisions.of(load_policies())
                province = province_account(world.province)
                county = await add_county(session, province, new, divisions, self.scenario.at)
            school = await create_school(
                session, roll_call_scenario.app_context.keys, county, classes=1, students=1
            )
            return school, SampleUnit(county.id, county.kind, county.code, county.name, county.path)
