"""A replay of the facts equals the stored rows byte for byte, and finds every row that was tampered with."""

import json
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import update

from backend.people.tables import Student
from backend.standing.engine.trace import decode_canonical, encode_canonical
from backend.standing.store import tables
from backend.standing.store.comparison import DIFFERENCE_KINDS
from backend.standing.store.load import load_student_refs
from backend.standing.store.replay import Replay, replay_students
from tests.support.standing.replay import execute_by_expiry, tamper
from tests.support.standing.scenario import StandingScenario

pytestmark = [pytest.mark.clause("R13")]


async def replay_pupil(scenario: StandingScenario, **before: float) -> Replay:
    """Replay the pupil now, or that long ago."""
    async with scenario.as_worker() as session:
        students = await load_student_refs(session, [scenario.pupil.id])
        [result] = await replay_students(session, list(students.values()), scenario.at - timedelta(**before))
    return result


def difference_kinds(replay: Replay) -> list[str]:
    return [difference.kind for difference in replay.differences]


@pytest.mark.parametrize("misses", [0, 1, 2, 3])
async def test_unchanged_rows_show_no_difference(scenario: StandingScenario, misses: int) -> None:
    await scenario.misses(misses)
    await scenario.recompute()
    scenario.pass_time(days=1)
    replay = await replay_pupil(scenario)
    assert replay.differences == ()
    assert replay.pending == ()


async def test_an_executed_change_replays_to_the_stored_bytes(scenario: StandingScenario) -> None:
    entry_id = await execute_by_expiry(scenario)
    replay = await replay_pupil(scenario)
    assert replay.differences == ()
    [entry] = replay.assessment.ledger
    [row] = await scenario.rows(tables.StandingEntry)
    assert entry.entry_id == str(entry_id)
    assert encode_canonical(entry.trace) == encode_canonical(row.trace)
    [prompt] = await scenario.rows(tables.PromptRecord)
    assert encode_canonical(replay.assessment.prompts[0].trace) == encode_canonical(prompt.trace)


async def test_two_replays_of_one_instant_give_the_same_bytes(scenario: StandingScenario) -> None:
    await execute_by_expiry(scenario)
    one, other = await replay_pupil(scenario), await replay_pupil(scenario)
    assert encode_canonical(decode_canonical(one.assessment)) == encode_canonical(
        decode_canonical(other.assessment)
    )


async def test_a_replay_of_an_earlier_instant_gives_the_earlier_assessment(
    scenario: StandingScenario,
) -> None:
    await execute_by_expiry(scenario)
    before = await replay_pupil(scenario, days=19)
    assert before.assessment.ledger == ()
    assert before.assessment.status.study_form == "full_time"
    assert [prompt.state for prompt in before.assessment.prompts] == ["running"]
    assert before.differences == ()
    assert (await replay_pupil(scenario)).assessment.status.study_form == "part_time"


async def test_a_prompt_not_stored_yet_is_pending_and_no_difference(scenario: StandingScenario) -> None:
    await scenario.misses(2)
    replay = await replay_pupil(scenario)
    assert replay.differences == ()
    assert replay.pending == (replay.assessment.prompts[0].prompt_id,)


async def test_a_changed_trace_is_found(scenario: StandingScenario) -> None:
    entry_id = await execute_by_expiry(scenario)
    await tamper(
        scenario,
        "UPDATE standing_entry SET trace = jsonb_set(trace, '{figures,0,value}', '50') WHERE id = :id",
        id=entry_id,
    )
    [difference] = (await replay_pupil(scenario)).differences
    assert difference.kind == "entry_differs"
    assert difference.id == str(entry_id)
    assert list(difference.stored) == ["trace"]


async def test_a_changed_prompt_is_found(scenario: StandingScenario) -> None:
    await scenario.misses(2)
    await scenario.recompute()
    await tamper(
        scenario,
        "UPDATE prompt SET proposed = 'withdrawal' WHERE student_id = :id",
        id=scenario.pupil.id,
    )
    [difference] = (await replay_pupil(scenario)).differences
    assert (difference.kind, difference.stored) == ("prompt_differs", {"proposed": "withdrawal"})
    assert difference.replayed == {"proposed": "part_time"}


@pytest.mark.clause("HN334-4.2")
async def test_a_missing_entry_is_found(scenario: StandingScenario) -> None:
    entry_id = await execute_by_expiry(scenario)
    await tamper(scenario, "DELETE FROM aid_released WHERE change_id = :id", id=entry_id)
    await tamper(scenario, "DELETE FROM standing_entry WHERE id = :id", id=entry_id)
    differences = (await replay_pupil(scenario)).differences
    assert {(each.kind, each.id) for each in differences} == {
        ("entry_missing", str(entry_id)),
        ("release_missing", str(entry_id)),
    }


async def test_an_entry_without_basis_is_found(scenario: StandingScenario) -> None:
    await scenario.misses(1)
    await scenario.recompute()
    pupil = scenario.pupil
    async with scenario.roll_call_scenario.owner_transaction() as session:
        entry = tables.StandingEntry(
            id=UUID(int=scenario.pupil.id.int ^ 1),
            school_id=pupil.school_id,
            student_id=pupil.id,
            seq=1,
            at=scenario.at,
            cause="edit",
            caused_by="nobody",
            outcome="study_form",
            change_kind="",
            standing_before="01",
            study_form_before="full_time",
            standing_after="01",
            study_form_after="part_time",
            prompt_id=None,
            reverses=None,
            acting_account=None,
            policy_version="-",
            trace={},
            recorded_at=scenario.at,
        )
        session.add(entry)
    assert difference_kinds(await replay_pupil(scenario)) == ["entry_without_basis", "status_differs"]


async def test_a_status_changed_without_an_entry_is_found(scenario: StandingScenario) -> None:
    await execute_by_expiry(scenario)
    await tamper(
        scenario, update(Student).where(Student.id == scenario.pupil.id).values(study_form="full_time")
    )
    [difference] = (await replay_pupil(scenario)).differences
    assert difference.kind == "status_differs"
    assert difference.stored == {"study_form": "full_time"}
    assert difference.replayed == {"study_form": "part_time"}


async def test_a_changed_step_is_found(scenario: StandingScenario) -> None:
    await execute_by_expiry(scenario)
    await tamper(
        scenario,
        "UPDATE prompt_step SET state = 'dismissed' WHERE student_id = :id AND state = 'executed'",
        id=scenario.pupil.id,
    )
    [difference] = (await replay_pupil(scenario)).differences
    assert (difference.kind, difference.stored) == ("step_differs", {"state": "dismissed"})


async def test_a_changed_result_leaves_the_prompt_without_basis(
    scenario: StandingScenario,
) -> None:
    await scenario.misses(2)
    await scenario.recompute()
    await tamper(
        scenario,
        "UPDATE outcome_entry SET outcome = 'present' WHERE student_id = :id",
        id=scenario.pupil.id,
    )
    assert difference_kinds(await replay_pupil(scenario)) == ["prompt_without_basis", "counts_differ"]


async def test_a_changed_assessment_is_found(scenario: StandingScenario) -> None:
    await scenario.misses(1)
    await scenario.recompute()
    [standing] = await scenario.rows(tables.StudentStanding)
    edited = json.dumps(standing.assessment | {"warnings": []})
    await tamper(
        scenario,
        "UPDATE student_standing SET assessment = CAST(:assessment AS jsonb) WHERE student_id = :id",
        assessment=edited,
        id=scenario.pupil.id,
    )
    assert difference_kinds(await replay_pupil(scenario)) == ["picture_altered"]


async def test_a_deleted_warning_is_found(scenario: StandingScenario) -> None:
    await scenario.misses(1)
    await scenario.recompute()
    await tamper(scenario, "DELETE FROM standing_warning WHERE student_id = :id", id=scenario.pupil.id)
    assert difference_kinds(await replay_pupil(scenario)) == ["warning_missing"]


async def test_a_deleted_assessment_is_found(scenario: StandingScenario) -> None:
    await scenario.misses(2)
    await scenario.recompute()
    await tamper(scenario, "DELETE FROM student_standing WHERE student_id = :id", id=scenario.pupil.id)
    assert difference_kinds(await replay_pupil(scenario)) == ["picture_missing"]


def test_every_kind_of_difference_has_both_languages() -> None:
    assert all(zh and en for zh, en in DIFFERENCE_KINDS.values())
