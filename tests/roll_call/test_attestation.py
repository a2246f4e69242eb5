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
from backend.core.listing.pages import PageRequest
from backend.people.tables import Student
from backend.policy import PolicyAt
from backend.roll_call.attestation.card_codes import issue_student_code
from backend.roll_call.attestation.position import AttesterPosition
from backend.roll_call.attestation.review import ReviewAttestation, review_attestation
from backend.roll_call.attestation.service import AttestPresence, attest_presence
from backend.roll_call.errors import (
    AlreadyPresent,
    AttestationQuotaExhausted,
    AttesterOutsideSite,
    AttesterPositionUncertain,
    AttesterQuotaExhausted,
    CardCodesExhausted,
    NotOpenYet,
    PresenceNotOwed,
    ResultClosed,
    RollCallIsVoided,
    StudentCodeWrong,
    WindowClosed,
)
from backend.roll_call.results.missing import MissingSearch, load_missing_page
from backend.roll_call.rules import Outcome
from backend.roll_call.settlement.determination import DetermineOutcome, determine_outcome
from backend.roll_call.tables import (
    Attestation,
    AttestationReview,
    OutcomeEntry,
    RollCall,
    RollCallSite,
    WrongCardCode,
)
from backend.roll_call.voiding import void_roll_call
from geo.location_fixes import Fix
from tests.support.province import (
    SampleClass,
    SampleStudent,
    bureau_account,
    counselor_account,
    province_account,
    registrar_account,
)
from tests.support.roll_call.scenario import GRACE, MICROSECOND, RollCallScenario
from tests.support.roll_call.student_phone import INSIDE, OUTSIDE

pytestmark = pytest.mark.clause("HN334-3.4")
SESSION = new_id()


def make_attester_position(place: tuple[float, float] = INSIDE, accuracy_m: float = 12.0) -> AttesterPosition:
    return AttesterPosition(Fix(*place, accuracy_m, age_s=1.0), SESSION)


async def issue_card(scenario: RollCallScenario, pupil: SampleStudent, actor: Actor | None = None) -> str:
    actor = actor or scenario.registrar
    async with scenario.app_context.database.transaction(actor.scope) as session:
        return await issue_student_code(session, actor, pupil.id, scenario.clock(), scenario.app_context.keys)


async def attest(
    scenario: RollCallScenario,
    roll_call: RollCall,
    pupil: SampleStudent,
    code: str,
    *,
    actor: Actor | None = None,
    site: UUID | None = None,
    place: tuple[float, float] = INSIDE,
    accuracy_m: float = 12.0,
) -> Attestation:
    """Attest as the API does: a wrong code is committed and then refused."""
    actor = actor or counselor_account(scenario.school, scenario.school.classes[0])
    async with scenario.app_context.database.transaction(actor.scope) as session:
        command = AttestPresence(
            roll_call.id,
            pupil.id,
            code,
            site or await load_site(scenario, roll_call),
            "手机损坏",
            make_attester_position(place, accuracy_m),
        )
        answer = await attest_presence(session, actor, command, scenario.clock(), scenario.app_context.keys)
    if isinstance(answer, StudentCodeWrong):
        raise answer
    return answer


async def load_site(scenario: RollCallScenario, roll_call: RollCall) -> UUID:
    async with scenario.owner_transaction() as session:
        site_version_id: UUID = (
            await session.scalars(
                select(RollCallSite.site_version_id).where(RollCallSite.roll_call_id == roll_call.id)
            )
        ).one()
    return site_version_id


async def review(
    scenario: RollCallScenario,
    roll_call: RollCall,
    pupil: SampleStudent,
    actor: Actor,
    *,
    upheld: bool = True,
) -> AttestationReview:
    async with scenario.app_context.database.transaction(actor.scope) as session:
        command = ReviewAttestation(roll_call.id, pupil.id, upheld, "已视频核对")
        return await review_attestation(session, actor, command, scenario.clock())


async def submit_determination(
    scenario: RollCallScenario,
    roll_call: RollCall,
    pupil: SampleStudent,
    actor: Actor,
    outcome: Outcome = Outcome.PRESENT,
) -> OutcomeEntry:
    async with scenario.app_context.database.transaction(actor.scope) as session:
        command = DetermineOutcome(roll_call.id, pupil.id, outcome, "经视频核对")
        return await determine_outcome(session, actor, command, scenario.clock())


async def current_outcome(
    scenario: RollCallScenario, roll_call: RollCall, pupil: SampleStudent
) -> tuple[str, str]:
    entry = (await scenario.outcomes(roll_call.id))[pupil.id]
    return entry.outcome, entry.reason


@pytest.fixture
def klass(scenario: RollCallScenario) -> SampleClass:
    return scenario.school.classes[0]


async def test_attested_student_is_present(scenario: RollCallScenario, klass: SampleClass) -> None:
    launched = await scenario.launch()
    pupil = klass.students[0]
    await attest(scenario, launched.roll_call, pupil, await issue_card(scenario, pupil))
    assert await current_outcome(scenario, launched.roll_call, pupil) == ("present", "attested_on_site")
    with pytest.raises(Conflict):
        await attest(scenario, launched.roll_call, pupil, await issue_card(scenario, pupil))


async def test_only_the_newest_code_of_the_student_is_accepted(
    scenario: RollCallScenario, klass: SampleClass
) -> None:
    launched = await scenario.launch()
    pupil, other = klass.students[:2]
    old = await issue_card(scenario, pupil)
    others = await issue_card(scenario, other)
    with pytest.raises(StudentCodeWrong):
        await attest(scenario, launched.roll_call, pupil, others)
    scenario.clock.at += MICROSECOND
    fresh = await issue_card(scenario, pupil)
    with pytest.raises(StudentCodeWrong):
        await attest(scenario, launched.roll_call, pupil, old)
    await attest(scenario, launched.roll_call, pupil, fresh)


async def test_only_the_registrar_of_the_school_issues_a_card(
    scenario: RollCallScenario, klass: SampleClass
) -> None:
    pupil = klass.students[0]
    with pytest.raises(NotFound):
        await issue_card(scenario, pupil, registrar_account(scenario.world.sister))
    for actor in (counselor_account(scenario.school, klass), scenario.bureau):
        with pytest.raises(NotPermitted):
            await issue_card(scenario, pupil, actor)


async def test_counselor_cannot_attest_student_of_another_class(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    pupil = scenario.school.classes[1].students[0]
    with pytest.raises(NotFound):
        await attest(scenario, launched.roll_call, pupil, await issue_card(scenario, pupil))


async def test_only_a_counselor_attests(scenario: RollCallScenario, klass: SampleClass) -> None:
    launched = await scenario.launch()
    pupil = klass.students[0]
    code = await issue_card(scenario, pupil)
    for actor in (scenario.registrar, scenario.bureau):
        with pytest.raises(NotPermitted):
            await attest(scenario, launched.roll_call, pupil, code, actor=actor)


async def test_site_not_frozen_at_launch_is_not_found(scenario: RollCallScenario, klass: SampleClass) -> None:
    launched = await scenario.launch()
    pupil = klass.students[0]
    with pytest.raises(NotFound):
        await attest(scenario, launched.roll_call, pupil, await issue_card(scenario, pupil), site=new_id())


async def test_attestation_is_possible_only_in_the_window(
    scenario: RollCallScenario, klass: SampleClass
) -> None:
    opens = scenario.clock() + timedelta(minutes=1)
    launched = await scenario.launch(opens_at=opens, closes_at=opens + timedelta(hours=1))
    pupil = klass.students[0]
    code = await issue_card(scenario, pupil)
    with pytest.raises(NotOpenYet):
        await attest(scenario, launched.roll_call, pupil, code)
    scenario.clock.at = launched.roll_call.closes_at + MICROSECOND
    with pytest.raises(WindowClosed):
        await attest(scenario, launched.roll_call, pupil, code)


@pytest.mark.clause("HN334-2.2")
async def test_exempt_student_cannot_be_attested(scenario: RollCallScenario, klass: SampleClass) -> None:
    pupil = klass.students[0]
    async with scenario.owner_transaction() as session:
        (await session.get_one(Student, pupil.id)).study_form = "part_time"
    launched = await scenario.launch()
    with pytest.raises(PresenceNotOwed):
        await attest(scenario, launched.roll_call, pupil, await issue_card(scenario, pupil))


async def test_attestation_in_a_voided_roll_call_is_refused(
    scenario: RollCallScenario, klass: SampleClass
) -> None:
    launched = await scenario.launch()
    bureau = scenario.bureau
    async with scenario.app_context.database.transaction(bureau.scope) as session:
        await void_roll_call(session, bureau, launched.roll_call.id, "停电", scenario.clock())
    pupil = klass.students[0]
    with pytest.raises(RollCallIsVoided):
        await attest(scenario, launched.roll_call, pupil, await issue_card(scenario, pupil))


async def test_student_present_by_face_cannot_be_attested(
    scenario: RollCallScenario, klass: SampleClass
) -> None:
    launched = await scenario.launch()
    pupil = klass.students[0]
    await scenario.pass_roll_call(await scenario.activate(pupil), launched.roll_call.id)
    with pytest.raises(AlreadyPresent):
        await attest(scenario, launched.roll_call, pupil, await issue_card(scenario, pupil))


async def test_quota_of_a_class_holds_for_concurrent_attestations(
    scenario: RollCallScenario, klass: SampleClass, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched = await scenario.launch()
    codes = [await issue_card(scenario, pupil) for pupil in klass.students]
    monkeypatch.setattr("backend.roll_call.rules.compute_attestation_quota", lambda *_: 2)
    answers = await asyncio.gather(
        *(
            attest(scenario, launched.roll_call, pupil, code)
            for pupil, code in zip(klass.students, codes, strict=True)
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(answer, Attestation) for answer in answers) == 2
    assert sum(isinstance(answer, AttestationQuotaExhausted) for answer in answers) == 1


# --- position, codes and quotas of the attester ---


async def test_attester_must_be_inside_the_site(scenario: RollCallScenario, klass: SampleClass) -> None:
    launched = await scenario.launch()
    pupil = klass.students[0]
    code = await issue_card(scenario, pupil)
    with pytest.raises(AttesterOutsideSite):
        await attest(scenario, launched.roll_call, pupil, code, place=OUTSIDE)
    with pytest.raises(AttesterPositionUncertain):
        await attest(scenario, launched.roll_call, pupil, code, accuracy_m=900.0)
    written = await attest(scenario, launched.roll_call, pupil, code)
    assert (written.session_id, written.position["lon"]) == (SESSION, INSIDE[0])


async def test_wrong_card_codes_are_counted_and_limited(
    scenario: RollCallScenario, klass: SampleClass
) -> None:
    launched = await scenario.launch()
    pupil = klass.students[0]
    code = await issue_card(scenario, pupil)
    wrong = f"{(int(code) + 1) % 10**8:08d}"
    answers = await asyncio.gather(
        *(attest(scenario, launched.roll_call, pupil, wrong) for _ in range(8)), return_exceptions=True
    )
    assert sum(isinstance(answer, StudentCodeWrong) for answer in answers) == 5
    assert sum(isinstance(answer, CardCodesExhausted) for answer in answers) == 3
    with pytest.raises(CardCodesExhausted):
        await attest(scenario, launched.roll_call, pupil, code)
    async with scenario.owner_transaction() as session:
        counted = await session.scalars(select(WrongCardCode).where(WrongCardCode.student_id == pupil.id))
        assert len(counted.all()) == 5


async def test_quota_of_an_attester_covers_all_classes(
    scenario: RollCallScenario, klass: SampleClass, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched = await scenario.launch()
    integer = PolicyAt.integer
    monkeypatch.setattr(
        PolicyAt,
        "integer",
        lambda policy, name: 1 if name == "attestation.attester_quota" else integer(policy, name),
    )
    first, second = klass.students[:2]
    counselor = counselor_account(scenario.school, klass)
    await attest(scenario, launched.roll_call, first, await issue_card(scenario, first), actor=counselor)
    with pytest.raises(AttesterQuotaExhausted):
        await attest(
            scenario, launched.roll_call, second, await issue_card(scenario, second), actor=counselor
        )
    await attest(scenario, launched.roll_call, second, await issue_card(scenario, second))


async def test_wrong_codes_of_an_attester_count_over_all_cards(
    scenario: RollCallScenario, klass: SampleClass
) -> None:
    launched = await scenario.launch()
    counselor = counselor_account(scenario.school, klass)
    codes = {pupil: await issue_card(scenario, pupil) for pupil in klass.students}
    for pupil in (*klass.students, *klass.students[:2]):
        wrong = f"{(int(codes[pupil]) + 1) % 10**8:08d}"
        with pytest.raises(StudentCodeWrong):
            await attest(scenario, launched.roll_call, pupil, wrong, actor=counselor)
    last = klass.students[2]
    with pytest.raises(CardCodesExhausted):
        await attest(scenario, launched.roll_call, last, codes[last], actor=counselor)
    await attest(scenario, launched.roll_call, last, codes[last])
    scenario.clock.at = launched.roll_call.closes_at
    first = klass.students[0]
    await attest(scenario, launched.roll_call, first, codes[first], actor=counselor)


# --- reviews ---


async def test_only_the_launcher_or_its_superior_reviews(
    scenario: RollCallScenario, klass: SampleClass
) -> None:
    launched = await scenario.launch()
    pupil = klass.students[0]
    counselor = counselor_account(scenario.school, klass)
    await attest(scenario, launched.roll_call, pupil, await issue_card(scenario, pupil), actor=counselor)
    for actor in (counselor, scenario.registrar):
        with pytest.raises(NotPermitted):
            await review(scenario, launched.roll_call, pupil, actor)
    written = await review(scenario, launched.roll_call, pupil, scenario.bureau)
    assert (written.upheld, written.attested_by) == (True, counselor.account_id)
    assert await current_outcome(scenario, launched.roll_call, pupil) == ("present", "attested_on_site")
    with pytest.raises(Conflict):
        await review(scenario, launched.roll_call, pupil, province_account(scenario.world.province))


async def test_own_attestation_cannot_be_reviewed_even_in_sql(
    scenario: RollCallScenario, klass: SampleClass
) -> None:
    launched = await scenario.launch(scenario.registrar, kind="school_own")
    pupil = klass.students[0]
    attestation = await attest(scenario, launched.roll_call, pupil, await issue_card(scenario, pupil))
    promoted = Actor(
        attestation.attested_by,
        "registrar",
        scenario.school.id,
        scenario.school.path,
        school_id=scenario.school.id,
    )
    with pytest.raises(NotPermitted):
        await review(scenario, launched.roll_call, pupil, promoted)
    row = {
        "roll_call_id": launched.roll_call.id,
        "student_id": pupil.id,
        "school_id": scenario.school.id,
        "term_code": launched.roll_call.term_code,
        "attested_by": promoted.account_id,
        "reviewed_by": promoted.account_id,
        "upheld": True,
        "note": "-",
        "at": scenario.clock(),
    }
    with pytest.raises(IntegrityError, match="second_person"):
        async with scenario.app_context.database.transaction(promoted.scope) as session:
            await session.execute(insert(AttestationReview).values(row))


async def test_attestation_not_upheld_leaves_undetermined_and_missing(
    scenario: RollCallScenario, klass: SampleClass
) -> None:
    launched = await scenario.launch()
    pupil = klass.students[0]
    await attest(scenario, launched.roll_call, pupil, await issue_card(scenario, pupil))
    await review(scenario, launched.roll_call, pupil, scenario.bureau, upheld=False)
    assert await current_outcome(scenario, launched.roll_call, pupil) == (
        "undetermined",
        "attestation_not_upheld",
    )
    counselor = counselor_account(scenario.school, klass)
    async with scenario.app_context.database.transaction(counselor.scope) as session:
        request = PageRequest(10)
        found = await load_missing_page(session, counselor, launched.roll_call, MissingSearch(), request)
        rows = found.rows
    assert {row.student_id for row in rows} == {each.id for each in klass.students}
    with pytest.raises(Conflict):
        await attest(scenario, launched.roll_call, pupil, await issue_card(scenario, pupil))
    await scenario.pass_roll_call(await scenario.activate(pupil), launched.roll_call.id)
    assert await current_outcome(scenario, launched.roll_call, pupil) == ("present", "verified")


async def test_review_after_voiding_ends_excused(scenario: RollCallScenario, klass: SampleClass) -> None:
    launched = await scenario.launch()
    pupil = klass.students[0]
    await attest(scenario, launched.roll_call, pupil, await issue_card(scenario, pupil))
    bureau = scenario.bureau
    async with scenario.app_context.database.transaction(bureau.scope) as session:
        await void_roll_call(session, bureau, launched.roll_call.id, "停电", scenario.clock())
    await review(scenario, launched.roll_call, pupil, bureau, upheld=False)
    assert await current_outcome(scenario, launched.roll_call, pupil) == ("excused", "voided")


# --- determinations ---


async def settle_with_undetermined(scenario: RollCallScenario) -> tuple[RollCall, SampleStudent]:
    """A settled roll call with one undetermined student."""
    launched = await scenario.launch()
    pupil = scenario.school.students[0]
    await scenario.check_in(await scenario.activate(pupil), launched.roll_call.id)
    scenario.clock.at = launched.roll_call.closes_at + 3 * GRACE
    await scenario.settle(launched.roll_call)
    return launched.roll_call, pupil


@pytest.mark.parametrize("outcome", [Outcome.PRESENT, Outcome.MISSED])
async def test_launcher_or_its_superior_determines_the_outcome(
    scenario: RollCallScenario, outcome: Outcome
) -> None:
    roll_call, pupil = await settle_with_undetermined(scenario)
    entry = await submit_determination(
        scenario, roll_call, pupil, province_account(scenario.world.province), outcome
    )
    assert (entry.outcome, entry.reason, entry.seq) == (outcome, "determined_by_person", 2)
    with pytest.raises(ResultClosed):
        await submit_determination(scenario, roll_call, pupil, scenario.bureau)


async def test_checked_school_may_not_determine_outcomes(
    scenario: RollCallScenario, klass: SampleClass
) -> None:
    roll_call, pupil = await settle_with_undetermined(scenario)
    for actor in (scenario.registrar, counselor_account(scenario.school, klass)):
        with pytest.raises(NotPermitted):
            await submit_determination(scenario, roll_call, pupil, actor)
    with pytest.raises(NotFound):
        await submit_determination(scenario, roll_call, pupil, bureau_account(scenario.world.other_city))


async def test_outcome_other_than_undetermined_is_final(scenario: RollCallScenario) -> None:
    roll_call, _ = await settle_with_undetermined(scenario)
    silent = scenario.school.students[1]
    with pytest.raises(ResultClosed):
        await submit_determination(scenario, roll_call, silent, scenario.bureau)


async def test_no_determination_before_the_settlement(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    with pytest.raises(Conflict):
        await submit_determination(scenario, launched.roll_call, scenario.school.students[0], scenario.bureau)


async def test_concurrent_determinations_write_one_outcome(scenario: RollCallScenario) -> None:
    roll_call, pupil = await settle_with_undetermined(scenario)
    answers = await asyncio.gather(
        *(
            submit_determination(scenario, roll_call, pupil, scenario.bureau, outcome)
            for outcome in (Outcome.PRESENT, Outcome.MISSED)
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(answer, ResultClosed) for answer in answers) == 1
    assert (await scenario.outcomes(roll_call.id))[pupil.id].seq == 2


async def test_settlement_waits_for_attestation_being_stored(
    scenario: RollCallScenario, klass: SampleClass
) -> None:
    launched = await scenario.launch()
    pupil, roll_call = klass.students[0], launched.roll_call
    counselor = counselor_account(scenario.school, klass)
    command = AttestPresence(
        roll_call.id,
        pupil.id,
        await issue_card(scenario, pupil),
        await load_site(scenario, roll_call),
        "手机损坏",
        make_attester_position(),
    )
    async with scenario.app_context.database.transaction(counselor.scope) as session:
        await attest_presence(session, counselor, command, roll_call.closes_at, scenario.app_context.keys)
        scenario.clock.at = roll_call.closes_at + MICROSECOND
        settling = asyncio.create_task(scenario.settle(roll_call))
        await scenario.wait_for_lock()
        assert not settling.done()
    assert (await settling).figures["present"] == 1
    assert await current_outcome(scenario, roll_call, pupil) == ("present", "attested_on_site")
