"""Attestations, their reviews, and determinations by a person: quotas and separation of duties."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from backend.core.actor import Actor
from backend.core.errors import Conflict, NotFound, NotPermitted
from backend.core.ids import new_id
from backend.people.tables import Student
from backend.roll_call.attestation import (
    AttestPresence,
    ReviewAttestation,
    attest_presence,
    issue_student_code,
    review_attestation,
)
from backend.roll_call.errors import (
    AlreadyPresent,
    CodeWrong,
    NotAsked,
    NotOpenYet,
    QuotaExhausted,
    ResultClosed,
    RollCallIsVoided,
    WindowClosed,
)
from backend.roll_call.results import load_missing_page
from backend.roll_call.rules import Outcome
from backend.roll_call.settlement.determination import DetermineOutcome, determine_outcome
from backend.roll_call.tables import Attestation, AttestationReview, OutcomeEntry, RollCall, RollCallSite
from backend.roll_call.voiding import void_roll_call
from tests.support.province import (
    Klass,
    Pupil,
    bureau_account,
    counselor_account,
    province_account,
    registrar_account,
)
from tests.support.roll_call.scenario import GRACE, MICROSECOND, Stage

pytestmark = pytest.mark.clause("HN334-3.4")


async def issue_card(stage: Stage, pupil: Pupil, actor: Actor | None = None) -> str:
    actor = actor or stage.registrar
    async with stage.app_context.database.transaction(actor.scope) as session:
        return await issue_student_code(session, actor, pupil.id, stage.clock(), stage.app_context.keys)


async def attest(
    stage: Stage,
    roll_call: RollCall,
    pupil: Pupil,
    code: str,
    *,
    actor: Actor | None = None,
    site: UUID | None = None,
) -> Attestation:
    actor = actor or counselor_account(stage.school, stage.school.classes[0])
    async with stage.app_context.database.transaction(actor.scope) as session:
        command = AttestPresence(
            roll_call.id, pupil.id, code, site or await load_site(stage, roll_call), "手机损坏"
        )
        return await attest_presence(session, actor, command, stage.clock(), stage.app_context.keys)


async def load_site(stage: Stage, roll_call: RollCall) -> UUID:
    async with stage.arrange() as session:
        site_version_id: UUID = (
            await session.scalars(
                select(RollCallSite.site_version_id).where(RollCallSite.roll_call_id == roll_call.id)
            )
        ).one()
    return site_version_id


async def review(
    stage: Stage, roll_call: RollCall, pupil: Pupil, actor: Actor, *, upheld: bool = True
) -> AttestationReview:
    async with stage.app_context.database.transaction(actor.scope) as session:
        command = ReviewAttestation(roll_call.id, pupil.id, upheld, "已视频核对")
        return await review_attestation(session, actor, command, stage.clock())


async def submit_determination(
    stage: Stage, roll_call: RollCall, pupil: Pupil, actor: Actor, outcome: Outcome = Outcome.PRESENT
) -> OutcomeEntry:
    async with stage.app_context.database.transaction(actor.scope) as session:
        command = DetermineOutcome(roll_call.id, pupil.id, outcome, "经视频核对")
        return await determine_outcome(session, actor, command, stage.clock())


async def current_outcome(stage: Stage, roll_call: RollCall, pupil: Pupil) -> tuple[str, str]:
    entry = (await stage.outcomes(roll_call.id))[pupil.id]
    return entry.outcome, entry.reason


@pytest.fixture
def klass(stage: Stage) -> Klass:
    return stage.school.classes[0]


async def test_attested_student_is_present(stage: Stage, klass: Klass) -> None:
    launched = await stage.launch()
    pupil = klass.students[0]
    await attest(stage, launched.roll_call, pupil, await issue_card(stage, pupil))
    assert await current_outcome(stage, launched.roll_call, pupil) == ("present", "attested_on_site")
    with pytest.raises(Conflict):
        await attest(stage, launched.roll_call, pupil, await issue_card(stage, pupil))


async def test_only_the_newest_code_of_the_student_is_accepted(stage: Stage, klass: Klass) -> None:
    launched = await stage.launch()
    pupil, other = klass.students[:2]
    old = await issue_card(stage, pupil)
    others = await issue_card(stage, other)
    with pytest.raises(CodeWrong):
        await attest(stage, launched.roll_call, pupil, others)
    stage.clock.at += MICROSECOND
    fresh = await issue_card(stage, pupil)
    with pytest.raises(CodeWrong):
        await attest(stage, launched.roll_call, pupil, old)
    await attest(stage, launched.roll_call, pupil, fresh)


async def test_only_the_registrar_of_the_school_issues_a_card(stage: Stage, klass: Klass) -> None:
    pupil = klass.students[0]
    with pytest.raises(NotFound):
        await issue_card(stage, pupil, registrar_account(stage.world.sister))
    for actor in (counselor_account(stage.school, klass), stage.bureau):
        with pytest.raises(NotPermitted):
            await issue_card(stage, pupil, actor)


async def test_counselor_cannot_attest_student_of_another_class(stage: Stage) -> None:
    launched = await stage.launch()
    pupil = stage.school.classes[1].students[0]
    with pytest.raises(NotFound):
        await attest(stage, launched.roll_call, pupil, await issue_card(stage, pupil))


async def test_only_a_counselor_attests(stage: Stage, klass: Klass) -> None:
    launched = await stage.launch()
    pupil = klass.students[0]
    code = await issue_card(stage, pupil)
    for actor in (stage.registrar, stage.bureau):
        with pytest.raises(NotPermitted):
            await attest(stage, launched.roll_call, pupil, code, actor=actor)


async def test_site_not_frozen_at_launch_is_not_found(stage: Stage, klass: Klass) -> None:
    launched = await stage.launch()
    pupil = klass.students[0]
    with pytest.raises(NotFound):
        await attest(stage, launched.roll_call, pupil, await issue_card(stage, pupil), site=new_id())


async def test_attestation_is_possible_only_in_the_window(stage: Stage, klass: Klass) -> None:
    opens = stage.clock() + timedelta(minutes=1)
    launched = await stage.launch(opens_at=opens, closes_at=opens + timedelta(hours=1))
    pupil = klass.students[0]
    code = await issue_card(stage, pupil)
    with pytest.raises(NotOpenYet):
        await attest(stage, launched.roll_call, pupil, code)
    stage.clock.at = launched.roll_call.closes_at + MICROSECOND
    with pytest.raises(WindowClosed):
        await attest(stage, launched.roll_call, pupil, code)


@pytest.mark.clause("HN334-2.2")
async def test_exempt_student_cannot_be_attested(stage: Stage, klass: Klass) -> None:
    pupil = klass.students[0]
    async with stage.arrange() as session:
        (await session.get_one(Student, pupil.id)).study_form = "part_time"
    launched = await stage.launch()
    with pytest.raises(NotAsked):
        await attest(stage, launched.roll_call, pupil, await issue_card(stage, pupil))


async def test_attestation_in_a_voided_roll_call_is_refused(stage: Stage, klass: Klass) -> None:
    launched = await stage.launch()
    bureau = stage.bureau
    async with stage.app_context.database.transaction(bureau.scope) as session:
        await void_roll_call(session, bureau, launched.roll_call.id, "停电", stage.clock())
    pupil = klass.students[0]
    with pytest.raises(RollCallIsVoided):
        await attest(stage, launched.roll_call, pupil, await issue_card(stage, pupil))


async def test_student_present_by_face_cannot_be_attested(stage: Stage, klass: Klass) -> None:
    launched = await stage.launch()
    pupil = klass.students[0]
    await stage.pass_check(await stage.activate(pupil), launched.roll_call.id)
    with pytest.raises(AlreadyPresent):
        await attest(stage, launched.roll_call, pupil, await issue_card(stage, pupil))


async def test_quota_of_a_class_holds_for_concurrent_attestations(
    stage: Stage, klass: Klass, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched = await stage.launch()
    codes = [await issue_card(stage, pupil) for pupil in klass.students]
    monkeypatch.setattr("backend.roll_call.rules.attestation_quota", lambda *_: 2)
    answers = await asyncio.gather(
        *(
            attest(stage, launched.roll_call, pupil, code)
            for pupil, code in zip(klass.students, codes, strict=True)
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(answer, Attestation) for answer in answers) == 2
    assert sum(isinstance(answer, QuotaExhausted) for answer in answers) == 1


# --- reviews ---


async def test_only_the_launcher_or_its_superior_reviews(stage: Stage, klass: Klass) -> None:
    launched = await stage.launch()
    pupil = klass.students[0]
    counselor = counselor_account(stage.school, klass)
    await attest(stage, launched.roll_call, pupil, await issue_card(stage, pupil), actor=counselor)
    for actor in (counselor, stage.registrar):
        with pytest.raises(NotPermitted):
            await review(stage, launched.roll_call, pupil, actor)
    written = await review(stage, launched.roll_call, pupil, stage.bureau)
    assert (written.upheld, written.attested_by) == (True, counselor.account_id)
    assert await current_outcome(stage, launched.roll_call, pupil) == ("present", "attested_on_site")
    with pytest.raises(Conflict):
        await review(stage, launched.roll_call, pupil, province_account(stage.world.province))


async def test_own_attestation_cannot_be_reviewed_even_in_sql(stage: Stage, klass: Klass) -> None:
    launched = await stage.launch(stage.registrar, kind="school_own")
    pupil = klass.students[0]
    attestation = await attest(stage, launched.roll_call, pupil, await issue_card(stage, pupil))
    promoted = Actor(
        attestation.attested_by, "registrar", stage.school.id, stage.school.path, school_id=stage.school.id
    )
    with pytest.raises(NotPermitted):
        await review(stage, launched.roll_call, pupil, promoted)
    row = {
        "roll_call_id": launched.roll_call.id,
        "student_id": pupil.id,
        "school_id": stage.school.id,
        "term_code": launched.roll_call.term_code,
        "attested_by": promoted.account_id,
        "reviewed_by": promoted.account_id,
        "upheld": True,
        "note": "-",
        "at": stage.clock(),
    }
    with pytest.raises(IntegrityError, match="second_person"):
        async with stage.app_context.database.transaction(promoted.scope) as session:
            await session.execute(insert(AttestationReview).values(row))


async def test_attestation_not_upheld_leaves_undetermined_and_missing(stage: Stage, klass: Klass) -> None:
    launched = await stage.launch()
    pupil = klass.students[0]
    await attest(stage, launched.roll_call, pupil, await issue_card(stage, pupil))
    await review(stage, launched.roll_call, pupil, stage.bureau, upheld=False)
    assert await current_outcome(stage, launched.roll_call, pupil) == (
        "undetermined",
        "attestation_not_upheld",
    )
    counselor = counselor_account(stage.school, klass)
    async with stage.app_context.database.transaction(counselor.scope) as session:
        rows = await load_missing_page(session, counselor, launched.roll_call, None, None, 10)
    assert {row.student_id for row in rows} == {each.id for each in klass.students}
    with pytest.raises(Conflict):
        await attest(stage, launched.roll_call, pupil, await issue_card(stage, pupil))
    await stage.pass_check(await stage.activate(pupil), launched.roll_call.id)
    assert await current_outcome(stage, launched.roll_call, pupil) == ("present", "verified")


async def test_review_after_voiding_ends_excused(stage: Stage, klass: Klass) -> None:
    launched = await stage.launch()
    pupil = klass.students[0]
    await attest(stage, launched.roll_call, pupil, await issue_card(stage, pupil))
    bureau = stage.bureau
    async with stage.app_context.database.transaction(bureau.scope) as session:
        await void_roll_call(session, bureau, launched.roll_call.id, "停电", stage.clock())
    await review(stage, launched.roll_call, pupil, bureau, upheld=False)
    assert await current_outcome(stage, launched.roll_call, pupil) == ("excused", "voided")


# --- determinations ---


async def settle_with_undetermined(stage: Stage) -> tuple[RollCall, Pupil]:
    """A settled roll call with one undetermined student."""
    launched = await stage.launch()
    pupil = stage.school.students[0]
    await stage.check_in(await stage.activate(pupil), launched.roll_call.id)
    stage.clock.at = launched.roll_call.closes_at + 3 * GRACE
    await stage.settle(launched.roll_call)
    return launched.roll_call, pupil


@pytest.mark.parametrize("outcome", [Outcome.PRESENT, Outcome.MISSED])
async def test_launcher_or_its_superior_determines_the_outcome(stage: Stage, outcome: Outcome) -> None:
    roll_call, pupil = await settle_with_undetermined(stage)
    entry = await submit_determination(
        stage, roll_call, pupil, province_account(stage.world.province), outcome
    )
    assert (entry.outcome, entry.reason, entry.seq) == (outcome, "determined_by_person", 2)
    with pytest.raises(ResultClosed):
        await submit_determination(stage, roll_call, pupil, stage.bureau)


async def test_checked_school_may_not_determine_outcomes(stage: Stage, klass: Klass) -> None:
    roll_call, pupil = await settle_with_undetermined(stage)
    for actor in (stage.registrar, counselor_account(stage.school, klass)):
        with pytest.raises(NotPermitted):
            await submit_determination(stage, roll_call, pupil, actor)
    with pytest.raises(NotFound):
        await submit_determination(stage, roll_call, pupil, bureau_account(stage.world.other_city))


async def test_outcome_other_than_undetermined_is_final(stage: Stage) -> None:
    roll_call, _ = await settle_with_undetermined(stage)
    silent = stage.school.students[1]
    with pytest.raises(ResultClosed):
        await submit_determination(stage, roll_call, silent, stage.bureau)


async def test_no_determination_before_the_settlement(stage: Stage) -> None:
    launched = await stage.launch()
    with pytest.raises(Conflict):
        await submit_determination(stage, launched.roll_call, stage.school.students[0], stage.bureau)


async def test_concurrent_determinations_write_one_outcome(stage: Stage) -> None:
    roll_call, pupil = await settle_with_undetermined(stage)
    answers = await asyncio.gather(
        *(
            submit_determination(stage, roll_call, pupil, stage.bureau, outcome)
            for outcome in (Outcome.PRESENT, Outcome.MISSED)
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(answer, ResultClosed) for answer in answers) == 1
    assert (await stage.outcomes(roll_call.id))[pupil.id].seq == 2


async def test_settlement_waits_for_attestation_being_stored(stage: Stage, klass: Klass) -> None:
    launched = await stage.launch()
    pupil, roll_call = klass.students[0], launched.roll_call
    counselor = counselor_account(stage.school, klass)
    command = AttestPresence(
        roll_call.id, pupil.id, await issue_card(stage, pupil), await load_site(stage, roll_call), "手机损坏"
    )
    async with stage.app_context.database.transaction(counselor.scope) as session:
        await attest_presence(session, counselor, command, roll_call.closes_at, stage.app_context.keys)
        stage.clock.at = roll_call.closes_at + MICROSECOND
        settling = asyncio.create_task(stage.settle(roll_call))
        await stage.blocked()
        assert not settling.done()
    assert (await settling).figures["present"] == 1
    assert await current_outcome(stage, roll_call, pupil) == ("present", "attested_on_site")
