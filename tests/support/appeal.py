"""Appeals as one-liners over a registry, each act in a transaction of its own.

Checks are launched by the city unless a test says otherwise, so the city has had a hand in them and the province
decides. `province` is one account of it, `other_province` a colleague.
"""

from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import select

from backend.appeal.decisions import DecideAppeal, decide_appeal
from backend.appeal.filing import (
    AgainstChange,
    AgainstCheck,
    AgainstIneligibility,
    FileAppeal,
    Matter,
    carry_up,
    file_appeal,
    withdraw,
)
from backend.appeal.gaokao import Eligibility, eligibility
from backend.appeal.queries import AppealSearch, AppealView, appeals_page, messages_page
from backend.appeal.statements import Said, mark_read, post_message
from backend.core.actor import Actor
from backend.identity.tables import Account
from backend.notice.tables import Notice, NoticeMessage
from backend.roll_call.tables import RollCall
from backend.standing.appeal_effects import Finding
from backend.standing.engine.assess import Assessment
from backend.standing.engine.facts import StudentFacts
from backend.standing.store.lock import load_facts_and_assess, lock_and_assess
from backend.standing.store.tables import StandingEntry
from tests.support.province import Unit, bureau_account, province_account
from tests.support.standing.prompts import prompted, receive
from tests.support.standing.scenario import Registry

GROUNDS = Said("当天在校实训，有考勤记录为证。")


@dataclass(slots=True)
class Docket:
    """The first student's appeals."""

    registry: Registry
    province: Actor = field(init=False)
    other_province: Actor = field(init=False)
    city: Actor = field(init=False)
    student: Actor = field(init=False)

    def __post_init__(self) -> None:
        unit = self.registry.stage.world.province
        self.province, self.other_province = province_account(unit), province_account(unit)
        self.city, self.student = self.registry.bureau, self.registry.student()

    async def file(self, matter: Matter, actor: Actor | None = None, grounds: Said = GROUNDS) -> AppealView:
        actor = actor or self.student
        whom = self.registry.pupil.id if actor.role != "student" else None
        command = FileAppeal(matter, grounds, whom)
        async with self.registry.transaction(actor) as session:
            return await file_appeal(session, actor, command, self.registry.at)

    async def against_check(self, roll_call: RollCall, actor: Actor | None = None) -> AppealView:
        return await self.file(AgainstCheck(roll_call.id), actor)

    async def against_change(self, entry_id: UUID, actor: Actor | None = None) -> AppealView:
        return await self.file(AgainstChange(entry_id), actor)

    async def against_ineligibility(self, on: date, actor: Actor | None = None) -> AppealView:
        return await self.file(AgainstIneligibility(on), actor)

    async def decide(
        self,
        appeal: AppealView,
        actor: Actor | None = None,
        *,
        upheld: bool = True,
        finding: Finding | None = None,
    ) -> AppealView:
        actor = actor or self.province
        command = DecideAppeal(appeal.filed.id, upheld, "材料已核实", finding)
        async with self.registry.transaction(actor) as session:
            return await decide_appeal(session, actor, command, self.registry.at)

    async def reject(self, appeal: AppealView, actor: Actor | None = None) -> AppealView:
        return await self.decide(appeal, actor, upheld=False)

    async def carry_up(self, appeal: AppealView, actor: Actor | None = None) -> AppealView:
        actor = actor or self.student
        async with self.registry.transaction(actor) as session:
            return await carry_up(session, actor, appeal.filed.id, GROUNDS, self.registry.at)

    async def withdraw(self, appeal: AppealView, actor: Actor | None = None) -> AppealView:
        actor = actor or self.student
        async with self.registry.transaction(actor) as session:
            return await withdraw(session, actor, appeal.filed.id, None, self.registry.at)

    async def say(self, appeal: AppealView, actor: Actor, text: str = "请补充当日考勤。") -> None:
        async with self.registry.transaction(actor) as session:
            await post_message(session, actor, appeal.filed.id, Said(text), self.registry.at)

    async def read(self, appeal: AppealView, actor: Actor) -> None:
        async with self.registry.transaction(actor) as session:
            await mark_read(session, actor, appeal.filed.id, self.registry.at)

    async def said(self, appeal: AppealView) -> list[tuple[str, str, bool]]:
        """Side, text, and whether the other side has read it."""
        async with self.registry.transaction(self.province) as session:
            rows = await messages_page(session, appeal.filed.id, None, 100)
        return [(row.message.side, row.message.text, row.read_at is not None) for row in rows]

    async def listed(self, actor: Actor, **search: Any) -> list[UUID]:
        async with self.registry.transaction(actor) as session:
            rows = await appeals_page(session, actor, AppealSearch(**search), self.registry.at, None, 100)
        return [row.filed.id for row in rows]

    async def eligible(self, on: date, actor: Actor | None = None) -> Eligibility:
        actor = actor or self.province
        self.registry.pass_time(seconds=1)  # behind the turns that were taken while the clock stood still
        async with self.registry.transaction(actor) as session:
            return await eligibility(session, self.registry.pupil.id, on, self.registry.at)

    async def authority(self, unit: Unit) -> Actor:
        """An active account of an authority, so that notices and routing find it."""
        actor = province_account(unit) if unit.kind == "province" else bureau_account(unit)
        async with self.registry.stage.arrange() as session:
            session.add(
                Account(
                    id=actor.account_id,
                    kind=actor.role,
                    org_id=unit.id,
                    org_path=unit.path,
                    login=f"t{actor.account_id.hex}",
                    display_name="某某",
                    status="active",
                    password_hash="-",
                    totp_sealed=b"-",
                    failed_attempts=0,
                    created_at=self.registry.at,
                )
            )
        return actor

    async def told(self, appeal: AppealView, kind: str) -> set[UUID | None]:
        """Who got a notice of this kind about the appeal: students and accounts."""
        async with self.registry.stage.arrange() as session:
            rows = await session.execute(
                select(Notice.student_id, Notice.account_id)
                .join(NoticeMessage, NoticeMessage.id == Notice.message_id)
                .where(NoticeMessage.group_id == appeal.filed.id, NoticeMessage.kind == kind)
            )
            return {student_id or account_id for student_id, account_id in rows}

    async def words(self, appeal: AppealView, kind: str) -> str:
        """The Chinese text of a notice about the appeal."""
        async with self.registry.stage.arrange() as session:
            found = await session.scalar(
                select(NoticeMessage.body_zh).where(
                    NoticeMessage.group_id == appeal.filed.id, NoticeMessage.kind == kind
                )
            )
        assert found is not None
        return str(found)

    # --- what is appealed against ---

    async def due(self) -> UUID:
        """Two misses, a prompt that the school received, and its five working days over; the prompt."""
        prompt_id = await prompted(self.registry)
        self.registry.stage.clock.at = await receive(self.registry, prompt_id)
        return prompt_id

    async def executed(self) -> StandingEntry:
        """The same, and the policy has executed; the change."""
        await self.due()
        await self.registry.recompute()
        return (await self.entries())[0]

    async def entries(self) -> list[StandingEntry]:
        """The student's ledger in its order."""
        rows = await self.registry.rows(StandingEntry)
        return sorted(rows, key=lambda entry: entry.seq)

    async def facts(self) -> tuple[StudentFacts, Assessment]:
        """Everything recorded of the student, and what the law makes of it now."""
        async with self.registry.as_worker() as session:
            held = await lock_and_assess(session, self.registry.pupil.id, self.registry.at)
            return await load_facts_and_assess(session, held)
