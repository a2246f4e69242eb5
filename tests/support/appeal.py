"""Helpers for tests of appeals; each act runs in its own transaction.

The city launches the roll calls by default. The city therefore took part in them, and the province decides appeals.
`province` and `other_province` are two accounts of the province.
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
    AppealSubject,
    FileAppeal,
    appeal_to_next_level,
    file_appeal,
    withdraw_appeal,
)
from backend.appeal.gaokao import Eligibility, load_eligibility
from backend.appeal.queries import AppealSearch, AppealView, load_appeals_page, load_messages_page
from backend.appeal.statements import NewMessage, mark_messages_read, post_message
from backend.core.actor import Actor
from backend.core.listing.pages import PageRequest
from backend.identity.tables import Account
from backend.notice.tables import Notice, NoticeMessage
from backend.roll_call.tables import RollCall
from backend.standing.appeal_effects import AppealFinding
from backend.standing.engine.assess import Assessment
from backend.standing.engine.facts import StudentFacts
from backend.standing.store.lock import assess_locked_student, lock_for_assessment
from backend.standing.store.tables import StandingEntry
from tests.support.province import SampleUnit, bureau_account, province_account
from tests.support.standing.prompts import confirm_receipt, raise_prompt
from tests.support.standing.scenario import StandingScenario

GROUNDS = NewMessage("当天在校实训，有考勤记录为证。")


@dataclass(slots=True)
class AppealScenario:
    """Appeals of the first student of a standing scenario."""

    standing_scenario: StandingScenario
    province: Actor = field(init=False)
    other_province: Actor = field(init=False)
    city: Actor = field(init=False)
    student: Actor = field(init=False)

    def __post_init__(self) -> None:
        unit = self.standing_scenario.roll_call_scenario.world.province
        self.province, self.other_province = province_account(unit), province_account(unit)
        self.city, self.student = self.standing_scenario.bureau, self.standing_scenario.student()

    async def file(
        self, subject: AppealSubject, actor: Actor | None = None, grounds: NewMessage = GROUNDS
    ) -> AppealView:
        actor = actor or self.student
        student_id = self.standing_scenario.pupil.id if actor.role != "student" else None
        command = FileAppeal(subject, grounds, student_id)
        async with self.standing_scenario.transaction(actor) as session:
            return await file_appeal(session, actor, command, self.standing_scenario.at)

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
        finding: AppealFinding | None = None,
    ) -> AppealView:
        actor = actor or self.province
        command = DecideAppeal(appeal.filed.id, upheld, "材料已核实", finding)
        async with self.standing_scenario.transaction(actor) as session:
            return await decide_appeal(session, actor, command, self.standing_scenario.at)

    async def reject(self, appeal: AppealView, actor: Actor | None = None) -> AppealView:
        return await self.decide(appeal, actor, upheld=False)

    async def appeal_to_next_level(self, appeal: AppealView, actor: Actor | None = None) -> AppealView:
        actor = actor or self.student
        async with self.standing_scenario.transaction(actor) as session:
            return await appeal_to_next_level(
                session, actor, appeal.filed.id, GROUNDS, self.standing_scenario.at
            )

    async def withdraw(self, appeal: AppealView, actor: Actor | None = None) -> AppealView:
        actor = actor or self.student
        async with self.standing_scenario.transaction(actor) as session:
            return await withdraw_appeal(session, actor, appeal.filed.id, None, self.standing_scenario.at)

    async def post_message(self, appeal: AppealView, actor: Actor, text: str = "请补充当日考勤。") -> None:
        async with self.standing_scenario.transaction(actor) as session:
            await post_message(session, actor, appeal.filed.id, NewMessage(text), self.standing_scenario.at)

    async def mark_read(self, appeal: AppealView, actor: Actor) -> None:
        async with self.standing_scenario.transaction(actor) as session:
            await mark_messages_read(session, actor, appeal.filed.id, self.standing_scenario.at)

    async def load_messages(self, appeal: AppealView) -> list[tuple[str, str, bool]]:
        """Side, text, and whether the other side has read the message."""
        async with self.standing_scenario.transaction(self.province) as session:
            rows = await load_messages_page(session, appeal.filed.id, None, 100)
        return [(row.message.side, row.message.text, row.read_at is not None) for row in rows]

    async def list_ids(self, actor: Actor, **search: Any) -> list[UUID]:
        async with self.standing_scenario.transaction(actor) as session:
            rows = (
                await load_appeals_page(
                    session, actor, AppealSearch(**search), self.standing_scenario.at, PageRequest(100)
                )
            ).rows
        return [row.filed.id for row in rows]

    async def load_eligibility(self, on: date, actor: Actor | None = None) -> Eligibility:
        actor = actor or self.province
        self.standing_scenario.pass_time(
            seconds=1
        )  # after the lock timestamps, which advance while the test clock does not
        async with self.standing_scenario.transaction(actor) as session:
            return await load_eligibility(
                session, self.standing_scenario.pupil.id, on, self.standing_scenario.at
            )

    async def create_authority(self, unit: SampleUnit) -> Actor:
        """Create an active account of an authority, which then receives notices."""
        actor = province_account(unit) if unit.kind == "province" else bureau_account(unit)
        async with self.standing_scenario.roll_call_scenario.owner_transaction() as session:
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
                    created_at=self.standing_scenario.at,
                )
            )
        return actor

    async def load_recipients(self, appeal: AppealView, kind: str) -> set[UUID | None]:
        """The students and accounts that received a notice of this kind about the appeal."""
        async with self.standing_scenario.roll_call_scenario.owner_transaction() as session:
            rows = await session.execute(
                select(Notice.student_id, Notice.account_id)
                .join(NoticeMessage, NoticeMessage.id == Notice.message_id)
                .where(NoticeMessage.group_id == appeal.filed.id, NoticeMessage.kind == kind)
            )
            return {student_id or account_id for student_id, account_id in rows}

    async def load_notice_text(self, appeal: AppealView, kind: str) -> str:
        """The Chinese text of a notice about the appeal."""
        async with self.standing_scenario.roll_call_scenario.owner_transaction() as session:
            found = await session.scalar(
                select(NoticeMessage.body_zh).where(
                    NoticeMessage.group_id == appeal.filed.id, NoticeMessage.kind == kind
                )
            )
        assert found is not None
        return str(found)

    # --- subjects of appeals ---

    async def reach_deadline(self) -> UUID:
        """Raise a prompt by two misses, confirm its receipt and move the clock to its deadline; returns the prompt's id."""
        prompt_id = await raise_prompt(self.standing_scenario)
        self.standing_scenario.roll_call_scenario.clock.at = await confirm_receipt(
            self.standing_scenario, prompt_id
        )
        return prompt_id

    async def execute_prompt(self) -> StandingEntry:
        """Reach the deadline and recompute, so that the prompt is executed; returns the change."""
        await self.reach_deadline()
        await self.standing_scenario.recompute()
        return (await self.load_entries())[0]

    async def load_entries(self) -> list[StandingEntry]:
        """The student's ledger entries in order."""
        rows = await self.standing_scenario.rows(StandingEntry)
        return sorted(rows, key=lambda entry: entry.seq)

    async def load_facts(self) -> tuple[StudentFacts, Assessment]:
        """The student's facts and the current assessment."""
        async with self.standing_scenario.as_worker() as session:
            locked = await lock_for_assessment(
                session, self.standing_scenario.pupil.id, self.standing_scenario.at
            )
            return await assess_locked_student(session, locked)
