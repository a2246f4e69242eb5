"""What is due is deleted, says so, and is on record; what somebody may still need stays (THREATS 18 and 19)."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update

from backend.core.evidence import EvidenceStore
from backend.core.ids import new_id
from backend.core.tables import AuditEntry
from backend.core.tenancy import Scope
from backend.identity.face.templates import active_template
from backend.identity.tables import FaceEnrolment, FaceTemplate, Portrait, TemplateKey
from backend.people.tables import Student
from backend.retention import deletion
from backend.retention.deletion import delete_due
from backend.retention.tables import RetentionRun
from backend.retention.tasks import KINDS
from backend.roll_call.outcomes import Decided, outcome_of, write_outcome
from backend.roll_call.rules import Outcome
from backend.roll_call.tables import Obligation, RollCall, Submission, SubmissionFrame, Verdict
from backend.standing.store.tables import (
    AppealDecided,
    AppealFiled,
    AppealWithdrawn,
    ClaimDecision,
    PromptRecord,
    PromptStep,
    ReasonClaimRecord,
    StandingEntry,
)
from tests.support.roll_call.scenario import WINDOW, Stage
from tests.support.roll_call.student_phone import Candidate

DAY = timedelta(days=1)


@pytest.fixture
async def candidate(stage: Stage) -> Candidate:
    return await stage.activate(stage.school.students[0])


async def sweep(stage: Stage, after: timedelta = timedelta()) -> dict[str, RetentionRun]:
    """Let time pass and run; the rows of the run by kind."""
    stage.clock.at += after
    return {run.kind: run for run in await delete_due(stage.app_context, KINDS)}


async def present(stage: Stage, candidate: Candidate) -> UUID:
    """A check-in of a student who was found present, settled."""
    launched = await stage.launch()
    submission_id = await stage.check_in(candidate, launched.roll_call.id)
    await find_present(stage, candidate, launched.roll_call)
    await close(stage, launched.roll_call)
    return submission_id


async def find_present(stage: Stage, candidate: Candidate, roll_call: RollCall) -> None:
    """What verification writes for an accepted check-in."""
    async with stage.arrange() as session:
        obligation = await session.get_one(Obligation, (roll_call.id, candidate.student_id))
        earlier = await outcome_of(session, roll_call.id, candidate.student_id)
        found = Decided(Outcome.PRESENT, "verified", "face")
        assert await write_outcome(session, roll_call, obligation, found, stage.clock(), replaces=earlier)


async def missed(stage: Stage, candidate: Candidate) -> UUID:
    """A check-in from elsewhere, which the settlement made a miss."""
    launched = await stage.launch()
    submission_id = await stage.check_in(candidate, launched.roll_call.id)
    verdict = Verdict(
        submission_id=submission_id,
        roll_call_id=launched.roll_call.id,
        term_code=launched.roll_call.term_code,
        **about(candidate),
        finding="rejected",
        reasons=["outside_site"],
        trace={},
        at=stage.clock(),
    )
    await put(stage, verdict)
    await close(stage, launched.roll_call)
    return submission_id


async def undetermined(stage: Stage, candidate: Candidate) -> tuple[UUID, RollCall]:
    """A check-in that nothing has judged."""
    launched = await stage.launch()
    submission_id = await stage.check_in(candidate, launched.roll_call.id)
    await close(stage, launched.roll_call)
    return submission_id, launched.roll_call


async def close(stage: Stage, roll_call: RollCall) -> None:
    stage.clock.at += WINDOW + timedelta(hours=1)
    await stage.settle(roll_call)


async def kept(stage: Stage, submission_id: UUID) -> bool:
    """Whether the frames are there; row and store must agree."""
    async with stage.arrange() as session:
        row = await session.get_one(Submission, submission_id)
    files = [await exists(stage.app_context.evidence, row.frame_key(n)) for n in range(row.frame_count)]
    assert all(files) or not any(files)
    assert (row.frames_gone_at is None) == all(files)
    return all(files)


async def exists(evidence: EvidenceStore, key: str) -> bool:
    try:
        return bool(await evidence.get(key))
    except FileNotFoundError:
        return False


async def put(stage: Stage, *rows: Any) -> None:
    """Rows of other rooms, each after the one before."""
    async with stage.arrange() as session:
        for row in rows:
            session.add(row)
            await session.flush()


def about(candidate: Candidate) -> dict[str, Any]:
    return {"school_id": candidate.actor.school_id, "student_id": candidate.student_id}


# --- frames ---


async def test_frames_of_who_was_present_go_a_week_after_the_close(
    stage: Stage, candidate: Candidate
) -> None:
    submission_id = await present(stage, candidate)
    await sweep(stage, 6 * DAY)
    assert await kept(stage, submission_id)
    await sweep(stage, DAY)
    assert not await kept(stage, submission_id)


@pytest.mark.clause("HN334-4.2")
async def test_frames_of_a_miss_stay_for_the_month_in_which_an_appeal_is_lodged(
    stage: Stage, candidate: Candidate
) -> None:
    submission_id = await missed(stage, candidate)
    await sweep(stage, 29 * DAY)
    assert await kept(stage, submission_id)
    await sweep(stage, DAY)
    assert not await kept(stage, submission_id)


@pytest.mark.clause("HN334-4.2")
async def test_an_undetermined_result_holds_its_frames_and_its_time_runs_from_the_decision(
    stage: Stage, candidate: Candidate
) -> None:
    submission_id, roll_call = await undetermined(stage, candidate)
    await sweep(stage, 90 * DAY)
    assert await kept(stage, submission_id)
    await find_present(stage, candidate, roll_call)
    await sweep(stage, 6 * DAY)
    assert await kept(stage, submission_id)
    await sweep(stage, 2 * DAY)
    assert not await kept(stage, submission_id)


async def test_what_an_upload_that_was_cut_off_left_goes_too(stage: Stage, candidate: Candidate) -> None:
    """The file is there and its row is not."""
    submission_id = await missed(stage, candidate)
    async with stage.arrange() as session:
        row = await session.get_one(Submission, submission_id)
        frame = await session.get_one(SubmissionFrame, (submission_id, 3))
        await session.delete(frame)
    assert await exists(stage.app_context.evidence, row.frame_key(3))
    await sweep(stage, 31 * DAY)
    assert not await kept(stage, submission_id)


def appeal_of(candidate: Candidate, at: datetime) -> AppealFiled:
    return AppealFiled(
        id=new_id(),
        **about(candidate),
        appellant="student",
        target="change",
        target_id=str(new_id()),
        filed_by=new_id(),
        filed_at=at,
    )


def decided(appeal: AppealFiled, at: datetime, *, upheld: bool) -> AppealDecided:
    return AppealDecided(
        appeal_id=appeal.id,
        school_id=appeal.school_id,
        student_id=appeal.student_id,
        upheld=upheld,
        finding="present",
        reasons="已核实",
        filed_by=appeal.filed_by,
        decided_by=new_id(),
        at=at,
    )


@pytest.mark.clause("HN334-4.2")
@pytest.mark.parametrize(("upheld", "days"), [(True, 7), (False, 30)])
async def test_an_appeal_holds_every_frame_of_the_student_until_nothing_can_follow_it(
    stage: Stage, candidate: Candidate, upheld: bool, days: int
) -> None:
    """A rejected appeal may go to the authority above; an upheld one ends the matter."""
    fine, wrong = await present(stage, candidate), await missed(stage, candidate)
    appeal = appeal_of(candidate, stage.clock())
    await put(stage, appeal)
    await sweep(stage, 60 * DAY)
    assert await kept(stage, fine)
    assert await kept(stage, wrong)
    await put(stage, decided(appeal, stage.clock(), upheld=upheld))
    await sweep(stage, (days - 1) * DAY)
    assert await kept(stage, fine)
    await sweep(stage, DAY)
    assert not await kept(stage, fine)
    assert not await kept(stage, wrong)


async def test_an_appeal_that_was_withdrawn_holds_them_a_week(stage: Stage, candidate: Candidate) -> None:
    submission_id, appeal = await missed(stage, candidate), appeal_of(candidate, stage.clock())
    await put(stage, appeal)
    stage.clock.at += 40 * DAY
    taken_back = AppealWithdrawn(
        appeal_id=appeal.id, **about(candidate), withdrawn_by=appeal.filed_by, at=stage.clock()
    )
    await put(stage, taken_back)
    await sweep(stage, 6 * DAY)
    assert await kept(stage, submission_id)
    await sweep(stage, DAY)
    assert not await kept(stage, submission_id)


async def test_a_claim_of_a_reason_holds_them_until_a_month_after_its_answer(
    stage: Stage, candidate: Candidate
) -> None:
    submission_id, roll_call = await undetermined(stage, candidate)
    claim = ReasonClaimRecord(
        id=new_id(),
        roll_call_id=roll_call.id,
        **about(candidate),
        reason="illness",
        text="发烧",
        filed_by=new_id(),
        filed_at=stage.clock(),
    )
    await put(stage, claim)
    await find_present(stage, candidate, roll_call)
    await sweep(stage, 40 * DAY)
    assert await kept(stage, submission_id)
    answer = ClaimDecision(
        claim_id=claim.id,
        **about(candidate),
        accepted=False,
        opinion="无证明",
        filed_by=claim.filed_by,
        decided_by=new_id(),
        at=stage.clock(),
    )
    await put(stage, answer)
    await sweep(stage, 29 * DAY)
    assert await kept(stage, submission_id)
    await sweep(stage, DAY)
    assert not await kept(stage, submission_id)


async def test_a_prompt_holds_them_until_a_month_after_it_was_closed(
    stage: Stage, candidate: Candidate
) -> None:
    submission_id, at = await missed(stage, candidate), stage.clock()
    prompt = PromptRecord(
        id=new_id(),
        **about(candidate),
        kind="misses",
        term_code="2026-autumn",
        grounds=[],
        evidence=[],
        event_day=at.date(),
        raised_at=at,
        proposed="withdrawal",
        policy_version="x",
        trace={},
    )
    await put(stage, prompt, step(prompt, 1, at))
    await sweep(stage, 40 * DAY)
    assert await kept(stage, submission_id)
    await put(stage, step(prompt, 2, stage.clock(), closed=True))
    await sweep(stage, 29 * DAY)
    assert await kept(stage, submission_id)
    await sweep(stage, DAY)
    assert not await kept(stage, submission_id)


def step(prompt: PromptRecord, seq: int, at: datetime, *, closed: bool = False) -> PromptStep:
    return PromptStep(
        prompt_id=prompt.id,
        seq=seq,
        school_id=prompt.school_id,
        student_id=prompt.student_id,
        state="dismissed" if closed else "running",
        blockers=[],
        closed_at=at if closed else None,
        closed_by="decision" if closed else None,
        at=at,
    )


async def test_a_case_of_somebody_else_holds_nothing(stage: Stage, candidate: Candidate) -> None:
    other = await stage.activate(stage.school.students[1])
    submission_id = await missed(stage, candidate)
    await put(stage, appeal_of(other, stage.clock()))
    await sweep(stage, 31 * DAY)
    assert not await kept(stage, submission_id)


# --- the run itself ---


async def test_a_run_is_on_record_with_what_it_deleted_and_the_next_finds_nothing(
    stage: Stage, candidate: Candidate
) -> None:
    submission_id = await missed(stage, candidate)
    async with stage.arrange() as session:
        row = await session.get_one(Submission, submission_id)
        frames = (
            await session.scalars(
                select(SubmissionFrame.size).where(SubmissionFrame.submission_id == submission_id)
            )
        ).all()
    first = (await sweep(stage, 31 * DAY))["frames"]
    assert (first.items, first.files, first.size_bytes) == (1, len(frames), sum(frames))
    assert first.oldest == first.newest == row.received_at
    second = (await sweep(stage))["frames"]
    assert (second.items, second.files, second.size_bytes, second.oldest) == (0, 0, None, None)


async def test_a_run_goes_on_over_as_many_batches_as_there_are(
    stage: Stage, candidate: Candidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletion, "AT_ONCE", 1)
    sent = [await missed(stage, candidate) for _ in range(3)]
    run = (await sweep(stage, 31 * DAY))["frames"]
    assert run.items == 3
    assert run.oldest is not None
    assert run.newest is not None
    assert run.oldest < run.newest
    assert [await kept(stage, each) for each in sent] == [False] * 3


async def test_a_run_that_was_cut_off_after_the_files_is_finished_by_the_next(
    stage: Stage, candidate: Candidate
) -> None:
    submission_id = await missed(stage, candidate)
    async with stage.arrange() as session:
        row = await session.get_one(Submission, submission_id)
    await stage.app_context.evidence.delete([row.frame_key(number) for number in range(row.frame_count)])
    assert (await sweep(stage, 31 * DAY))["frames"].items == 1
    assert not await kept(stage, submission_id)


async def test_only_the_province_reads_the_runs(stage: Stage) -> None:
    await sweep(stage)
    for scope in (Scope.school(stage.school.id, stage.school.path), Scope.wide(stage.world.city.path)):
        async with stage.app_context.database.transaction(scope) as session:
            assert (await session.scalars(select(RetentionRun))).all() == []


# --- what enrolling left ---


async def with_pictures(stage: Stage, candidate: Candidate, status: str) -> tuple[FaceEnrolment, Portrait]:
    """The enrolment and the portrait of the student, with their files."""
    async with stage.arrange() as session:
        enrolment = (
            await session.scalars(
                select(FaceEnrolment).where(FaceEnrolment.student_id == candidate.student_id)
            )
        ).one()
        portrait = (
            await session.scalars(select(Portrait).where(Portrait.student_id == candidate.student_id))
        ).one()
        enrolment.decided_at = portrait.decided_at = stage.clock()
        portrait.status = status
    for number in range(enrolment.shots):
        await stage.app_context.evidence.put(shot_key(enrolment, number), b"shot")
    await stage.app_context.evidence.put(portrait.evidence_key, b"portrait")
    return enrolment, portrait


def shot_key(enrolment: FaceEnrolment, number: int) -> str:
    return f"enrolment/{enrolment.student_id}/{enrolment.id}/{number}"


async def test_the_photographs_of_an_enrolment_go_after_a_day_and_the_template_stays(
    stage: Stage, candidate: Candidate
) -> None:
    enrolment, _ = await with_pictures(stage, candidate, "accepted")
    await sweep(stage, timedelta(hours=23))
    assert await exists(stage.app_context.evidence, shot_key(enrolment, 0))
    run = (await sweep(stage, timedelta(hours=2)))["enrolment_shots"]
    assert (run.items, run.files) == (1, enrolment.shots)
    assert not await exists(stage.app_context.evidence, shot_key(enrolment, 0))
    async with stage.arrange() as session:
        assert (await session.get_one(FaceEnrolment, enrolment.id)).shots_gone_at == stage.clock()
        assert await active_template(session, stage.app_context.keys, candidate.student_id) is not None


async def test_shots_that_nobody_has_judged_stay(stage: Stage, candidate: Candidate) -> None:
    enrolment, _ = await with_pictures(stage, candidate, "accepted")
    async with stage.arrange() as session:
        waiting = update(FaceEnrolment).where(FaceEnrolment.id == enrolment.id)
        await session.execute(waiting.values(status="pending", decided_at=None))
    await sweep(stage, 5 * DAY)
    assert await exists(stage.app_context.evidence, shot_key(enrolment, 0))


@pytest.mark.parametrize(
    ("status", "stays"), [("refused", False), ("replaced", False), ("accepted", True), ("review", True)]
)
async def test_portraits_that_were_refused_or_replaced_go(
    stage: Stage, candidate: Candidate, status: str, stays: bool
) -> None:
    _, portrait = await with_pictures(stage, candidate, status)
    await sweep(stage, 2 * DAY)
    assert await exists(stage.app_context.evidence, portrait.evidence_key) is stays
    async with stage.arrange() as session:
        assert ((await session.get_one(Portrait, portrait.id)).picture_gone_at is None) is stays


async def leave_the_roll(stage: Stage, candidate: Candidate, standing: str = "03") -> None:
    entry = StandingEntry(
        id=new_id(),
        **about(candidate),
        seq=1,
        at=stage.clock(),
        cause="edit",
        caused_by="test",
        outcome="",
        change_kind="31",
        standing_before="01",
        study_form_before="full_time",
        standing_after=standing,
        study_form_after="full_time",
        policy_version="x",
        trace={"rule": "standing_edit", "clause": "HN334-4.1b"},
        recorded_at=stage.clock(),
    )
    await put(stage, entry)
    async with stage.arrange() as session:
        changed = update(Student).where(Student.id == candidate.student_id)
        await session.execute(changed.values(standing=standing))


@pytest.mark.parametrize("standing", ["03", "07", "14"])
async def test_a_month_after_a_student_left_template_and_portrait_go(
    stage: Stage, candidate: Candidate, standing: str
) -> None:
    _, portrait = await with_pictures(stage, candidate, "accepted")
    await leave_the_roll(stage, candidate, standing)
    await sweep(stage, 29 * DAY)
    async with stage.arrange() as session:
        assert await active_template(session, stage.app_context.keys, candidate.student_id) is not None
    run = await sweep(stage, DAY)
    assert (run["templates"].items, run["portraits"].items) == (1, 1)
    assert not await exists(stage.app_context.evidence, portrait.evidence_key)
    async with stage.arrange() as session:
        assert await session.get(TemplateKey, candidate.student_id) is None
        of_student = FaceTemplate.student_id == candidate.student_id
        assert await session.scalar(select(FaceTemplate.status).where(of_student)) == "shredded"
        entry = select(AuditEntry.after).where(
            AuditEntry.action == "face_template.shred", AuditEntry.subject_id == str(candidate.student_id)
        )
        assert await session.scalar(entry) == {"why": "off the roll"}


@pytest.mark.parametrize("standing", ["01", "02", "05", "06"])
async def test_who_is_suspended_or_absent_is_still_on_the_roll(
    stage: Stage, candidate: Candidate, standing: str
) -> None:
    await leave_the_roll(stage, candidate, standing)
    assert (await sweep(stage, 60 * DAY))["templates"].items == 0


@pytest.mark.clause("HN334-4.2")
async def test_an_open_appeal_keeps_the_template_of_who_left(stage: Stage, candidate: Candidate) -> None:
    await leave_the_roll(stage, candidate)
    appeal = appeal_of(candidate, stage.clock())
    await put(stage, appeal)
    assert (await sweep(stage, 60 * DAY))["templates"].items == 0
    await put(stage, decided(appeal, stage.clock(), upheld=False))
    assert (await sweep(stage, 31 * DAY))["templates"].items == 1
