"""Transfers (reading 23): one record closes, another opens, and what is on file goes with the person."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from backend.core.actor import Actor
from backend.core.ids import new_id
from backend.core.tenancy import Scope
from backend.exchange.roster.importer import ImportReport
from backend.identity.tables import DeviceKey, PhoneChange
from backend.people.tables import Guardian, QuarantinedEnrolment, Student, StudentTransfer
from backend.roll_call.launch.audience import Audience
from backend.standing.change_requests.errors import ChangeUnfit, TransferInByRoster
from backend.standing.engine.assess import Assessment
from backend.standing.explanations.fact_lines import HIDDEN_FACT
from backend.standing.explanations.service import load_entry_explanation, load_prompt_explanation
from backend.standing.prompts.decisions import DecidePrompt, decide_prompt
from backend.standing.store import tables
from backend.standing.store.errors import EnrolledElsewhere
from backend.standing.store.load import load_student_refs
from backend.standing.store.replay import replay_students
from backend.standing.store.save import recompute
from backend.standing.transfers.errors import RecordLocked, StudentNumberTaken
from backend.standing.transfers.rules import QuarantineState
from backend.standing.transfers.service import DecideQuarantine, decide_quarantine
from tests.support.province import PROVINCE_PATH, SampleSchool, SampleStudent, registrar_account
from tests.support.roster import import_rows, roster_row
from tests.support.standing.change_requests import ChangeRequestScenario
from tests.support.standing.explanations import chinese_text
from tests.support.standing.prompt_actions import dismiss, raise_received_prompt
from tests.support.standing.prompts import confirm_receipt, raise_prompt
from tests.support.standing.scenario import StandingScenario

pytestmark = pytest.mark.clause("R23")


@dataclass(slots=True)
class TransferScenario:
    """The pupil's school is the earlier one, its sister school the new one."""

    standing: StandingScenario

    @property
    def pupil(self) -> SampleStudent:
        return self.standing.pupil

    @property
    def new_school(self) -> SampleSchool:
        return self.standing.roll_call_scenario.world.sister

    async def import_pupil(self, **changes: Any) -> ImportReport:
        row = roster_row(self.pupil, **{"student_number": None, **changes})
        standing = self.standing
        return await import_rows(standing.app_context, self.new_school, [row], standing.at)

    async def decide(self, actor: Actor | None = None) -> None:
        """Approve the transfer as the city, which is above both schools."""
        actor = actor or self.standing.bureau
        async with self.standing.roll_call_scenario.owner_transaction() as session:
            query = select(QuarantinedEnrolment.id).where(
                QuarantinedEnrolment.holder_student_id == self.pupil.id, QuarantinedEnrolment.state == "open"
            )
            quarantine_id = (await session.scalars(query)).one()
        command = DecideQuarantine(quarantine_id, QuarantineState.TRANSFERRED, "两校与监护人均确认转学")
        async with self.standing.transaction(actor) as session:
            await decide_quarantine(session, actor, command, self.standing.at)

    async def transfer(self, **changes: Any) -> SampleStudent:
        """Import the pupil in the new school and approve the transfer; returns the pupil there."""
        await self.import_pupil(**changes)
        await self.decide()
        return await self.newcomer()

    async def newcomer(self) -> SampleStudent:
        """The pupil on the roll of the new school."""
        async with self.standing.roll_call_scenario.owner_transaction() as session:
            query = select(Student).where(
                Student.school_id == self.new_school.id, Student.name == self.pupil.name
            )
            student = (await session.scalars(query)).one()
        number = self.pupil.id_number
        return SampleStudent(student.id, student.school_id, student.class_id, student.name, number, "")

    async def assess(self, pupil: SampleStudent) -> Assessment:
        """Recompute a student of the new school."""
        school = self.new_school
        async with self.standing.app_context.database.transaction(
            Scope.school(school.id, school.path)
        ) as session:
            return await recompute(session, pupil.id, self.standing.at)


def consecutive_misses(assessment: Assessment) -> int:
    """Of the term that has roll calls; other tests may have opened later ones."""
    [term] = [term for term in assessment.terms if term.sequence]
    return term.misses.consecutive


@pytest.fixture
def transfers(scenario: StandingScenario) -> TransferScenario:
    return TransferScenario(scenario)


async def test_an_approved_transfer_closes_one_record_and_opens_the_other(
    transfers: TransferScenario,
) -> None:
    newcomer = await transfers.transfer()
    standing = transfers.standing
    assert await standing.status() == ("10", "full_time")
    assert await standing.status(newcomer) == ("01", "full_time")
    (transfer,) = await standing.rows(StudentTransfer, newcomer)
    assert (transfer.holder_student_id, transfer.holder_school_id) == (transfers.pupil.id, standing.school.id)
    (closed,) = await standing.rows(tables.StandingEntry)
    (opened,) = await standing.rows(tables.StandingEntry, newcomer)
    assert (closed.standing_after, opened.outcome, opened.standing_after) == ("10", "transfer_in", "01")
    (row,) = await _quarantined(transfers)
    assert (row.state, row.row_data, row.id_number_sealed) == ("transferred", {}, None)


async def _quarantined(transfers: TransferScenario) -> list[QuarantinedEnrolment]:
    async with transfers.standing.roll_call_scenario.owner_transaction() as session:
        query = select(QuarantinedEnrolment).where(
            QuarantinedEnrolment.holder_student_id == transfers.pupil.id
        )
        return list(await session.scalars(query))


@pytest.mark.clause("HN334-4.1b")
async def test_misses_count_on_in_the_new_school(transfers: TransferScenario) -> None:
    standing = transfers.standing
    await standing.misses(1)
    newcomer = await transfers.transfer()
    assert consecutive_misses(await transfers.assess(newcomer)) == 1
    await standing.roll_call_scenario.file_site(transfers.new_school)
    await standing.check(audience=Audience(unit_ids=(transfers.new_school.id,)))
    assessment = await transfers.assess(newcomer)
    assert consecutive_misses(assessment) == 2
    (prompt,) = await standing.rows(tables.PromptRecord, newcomer)
    assert len(prompt.evidence) == 2
    assert await standing.rows(tables.PromptRecord) == []


@pytest.mark.clause("HN334-4.1b")
async def test_an_open_prompt_goes_to_the_new_school_with_its_deadline(transfers: TransferScenario) -> None:
    standing = transfers.standing
    earlier = await raise_prompt(standing)
    due_at = await confirm_receipt(standing, earlier)
    newcomer = await transfers.transfer()
    assert (await standing.step(earlier)).state == "withdrawn"
    (prompt,) = await standing.rows(tables.PromptRecord, newcomer)
    step = await standing.step(prompt.id)
    assert (step.state, step.due_at) == ("running", due_at)
    assert [UUID(event["prompt_id"]) for event in await standing.events("PromptRaised", newcomer)] == [
        prompt.id
    ]
    registrar = registrar_account(transfers.new_school)
    async with standing.transaction(registrar) as session:
        explanation = await load_prompt_explanation(session, registrar, prompt.id)
    assert len(explanation.facts) == 2
    assert HIDDEN_FACT not in [fact.words for fact in explanation.facts]


@pytest.mark.clause("HN334-4.1c")
async def test_a_locked_record_is_transferred_only_level_by_level(transfers: TransferScenario) -> None:
    standing, changes = transfers.standing, ChangeRequestScenario(transfers.standing)
    await changes.lock()
    await transfers.import_pupil()
    with pytest.raises(RecordLocked):
        await transfers.decide()
    await changes.change("21", changes.bureau, changes.province)
    assert await standing.status() == ("10", "part_time")
    report = await transfers.import_pupil()
    assert (report.created, report.transferred, report.quarantined) == (1, 1, 0)
    newcomer = await transfers.newcomer()
    assert await standing.status(newcomer) == ("01", "part_time")
    assessment = await transfers.assess(newcomer)
    assert assessment.lock.locked_by is not None
    assert assessment.lock.open_approvals == ()
    entries = await standing.rows(tables.StandingEntry, newcomer)
    assert [entry.outcome for entry in sorted(entries, key=lambda entry: entry.seq)] == [
        "part_time",
        "transfer_in",
    ]
    assert len(await standing.events("StandingChanged", newcomer)) == 1
    registrar, [sanction] = (
        registrar_account(transfers.new_school),
        [each for each in entries if each.prompt_id],
    )
    async with standing.transaction(registrar) as session:
        explanation = await load_entry_explanation(session, registrar, sanction.id)
    assert HIDDEN_FACT not in [fact.words for fact in explanation.facts]


@pytest.mark.clause("HN334-4.1b")
async def test_an_unanswered_dismissal_is_for_the_new_school_to_decide_again(
    transfers: TransferScenario,
) -> None:
    standing = transfers.standing
    await dismiss(standing, await raise_received_prompt(standing))
    newcomer = await transfers.transfer()
    (prompt,) = await standing.rows(tables.PromptRecord, newcomer)
    assert (await standing.step(prompt.id)).state == "running"
    registrar = registrar_account(transfers.new_school)
    async with standing.transaction(registrar) as session:
        await decide_prompt(session, registrar, DecidePrompt(prompt.id, "part_time"), standing.at)
    assert await standing.status(newcomer) == ("01", "part_time")


async def test_a_transfer_out_by_change_request_opens_the_record_at_the_import(
    transfers: TransferScenario,
) -> None:
    changes = ChangeRequestScenario(transfers.standing)
    await changes.change("21", changes.bureau)
    report = await transfers.import_pupil()
    assert (report.created, report.transferred) == (1, 1)
    again = await transfers.import_pupil()
    assert (again.unchanged, again.transferred) == (1, 0)


@pytest.mark.clause("HN334-4.2")
async def test_an_appeal_upheld_after_the_transfer_restores_the_standing_in_the_new_school(
    transfers: TransferScenario,
) -> None:
    standing, changes = transfers.standing, ChangeRequestScenario(transfers.standing)
    await changes.lock()
    (sanction,) = await standing.rows(tables.StandingEntry)
    await changes.change("21", changes.bureau, changes.province)
    await transfers.import_pupil()
    newcomer = await transfers.newcomer()
    assert await standing.status(newcomer) == ("01", "part_time")
    standing.pass_time(days=1)
    await _uphold_appeal(standing, sanction.id)
    await standing.recompute()
    await standing.run_events("EarlierRecordChanged")
    assert await standing.status(newcomer) == ("01", "full_time")
    entries = await standing.rows(tables.StandingEntry, newcomer)
    (reversal,) = [entry for entry in entries if entry.cause == "appeal"]
    registrar = registrar_account(transfers.new_school)
    async with standing.transaction(registrar) as session:
        explanation = await load_entry_explanation(session, registrar, reversal.id)
    assert "核实无误" in chinese_text(explanation)


async def _uphold_appeal(standing: StandingScenario, change_id: UUID) -> None:
    """Record an appeal of the student against the change, and that it was upheld."""
    appeal, filed_by = new_id(), new_id()
    owner = {"school_id": standing.school.id, "student_id": standing.pupil.id}
    async with standing.roll_call_scenario.owner_transaction() as session:
        session.add(
            tables.AppealFiled(
                id=appeal,
                **owner,
                appellant="student",
                target="change",
                target_id=change_id,
                filed_by=filed_by,
                filed_at=standing.at,
            )
        )
        await session.flush()
        session.add(
            tables.AppealDecided(
                appeal_id=appeal,
                **owner,
                upheld=True,
                finding="excused",
                reasons="核实无误",
                filed_by=filed_by,
                decided_by=new_id(),
                at=standing.at,
            )
        )


async def test_replaying_the_facts_of_both_schools_finds_no_difference(transfers: TransferScenario) -> None:
    standing, changes = transfers.standing, ChangeRequestScenario(transfers.standing)
    await changes.lock()
    await changes.change("21", changes.bureau, changes.province)
    await transfers.import_pupil()
    newcomer = await transfers.newcomer()
    for pupil in (transfers.pupil, newcomer):
        async with standing.app_context.database.transaction(Scope.wide(PROVINCE_PATH)) as session:
            refs = await load_student_refs(session, [pupil.id])
            (replay,) = await replay_students(session, list(refs.values()), standing.at)
        assert (replay.differences, replay.pending) == ((), ())


async def test_number_of_a_bound_phone_goes_with_the_student(transfers: TransferScenario) -> None:
    standing = transfers.standing
    async with standing.roll_call_scenario.owner_transaction() as session:
        (await session.get_one(Student, transfers.pupil.id)).phone = "13800000000"
    await standing.roll_call_scenario.activate(transfers.pupil)
    newcomer = await transfers.transfer(phone="13912345678")
    async with standing.roll_call_scenario.owner_transaction() as session:
        assert (await session.get_one(Student, newcomer.id)).phone == "13800000000"
    (change,) = await standing.rows(PhoneChange, newcomer)
    assert (change.new_phone, change.state) == ("13912345678", "open")
    assert await standing.rows(DeviceKey, newcomer) == []
    assert await standing.rows(Guardian, newcomer) == []


async def test_an_ended_record_is_not_restored_beside_the_new_one(transfers: TransferScenario) -> None:
    standing, changes = transfers.standing, ChangeRequestScenario(transfers.standing)
    await changes.lock("withdrawal")
    (sanction,) = await standing.rows(tables.StandingEntry)
    assert (await transfers.import_pupil()).created == 1
    await _uphold_appeal(standing, sanction.id)
    with pytest.raises(EnrolledElsewhere):
        await standing.recompute()


async def test_a_student_who_cannot_be_transferred_out_stays(transfers: TransferScenario) -> None:
    standing = transfers.standing
    async with standing.roll_call_scenario.owner_transaction() as session:
        (await session.get_one(Student, transfers.pupil.id)).standing = "06"
    await transfers.import_pupil()
    with pytest.raises(ChangeUnfit):
        await transfers.decide()


async def test_a_student_number_of_the_new_school_is_not_used_twice(transfers: TransferScenario) -> None:
    await transfers.import_pupil(student_number=None)
    taken = transfers.new_school.students[0].student_number
    standing = transfers.standing
    async with standing.roll_call_scenario.owner_transaction() as session:
        query = select(QuarantinedEnrolment).where(
            QuarantinedEnrolment.holder_student_id == transfers.pupil.id
        )
        row = (await session.scalars(query)).one()
        row.student_number_index = standing.app_context.keys.blind_index(taken)
        row.student_number_sealed = b"sealed"
    with pytest.raises(StudentNumberTaken):
        await transfers.decide()


async def test_a_transfer_in_is_not_filed_as_a_change_request(transfers: TransferScenario) -> None:
    with pytest.raises(TransferInByRoster, match="roster"):
        await ChangeRequestScenario(transfers.standing).file("22")


async def test_a_second_transfer_carries_the_records_of_both_earlier_schools(
    transfers: TransferScenario,
) -> None:
    standing = transfers.standing
    await standing.misses(1)
    newcomer = await transfers.transfer()
    standing.pass_time(days=1)
    third_school = standing.roll_call_scenario.world.direct
    row = roster_row(newcomer, student_number=None)
    await import_rows(standing.app_context, third_school, [row], standing.at)
    async with standing.transaction(standing.province) as session:
        query = select(QuarantinedEnrolment.id).where(QuarantinedEnrolment.holder_student_id == newcomer.id)
        quarantine_id = (await session.scalars(query)).one()
        command = DecideQuarantine(quarantine_id, QuarantineState.TRANSFERRED, "再次转学，已核实")
        await decide_quarantine(session, standing.province, command, standing.at)
    async with standing.transaction(registrar_account(third_school)) as session:
        query = select(Student.id).where(Student.name == newcomer.name)
        assessment = await recompute(session, (await session.scalars(query)).one(), standing.at)
    assert consecutive_misses(assessment) == 1
    assert [entry.outcome for entry in assessment.ledger] == ["transfer_in", "transfer_in"]
