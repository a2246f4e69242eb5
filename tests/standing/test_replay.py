"""A replay of the facts equals the stored rows byte for byte, and finds every row that was tampered with."""

import json
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import update

from backend.people.tables import Student
from backend.standing.engine.trace import canonical, document
from backend.standing.store import tables
from backend.standing.store.comparison import DIFFERENCE_KINDS
from backend.standing.store.load import load_student_refs
from backend.standing.store.replay import Replay, replays
from tests.support.standing.replay import executed, tamper
from tests.support.standing.scenario import Registry

pytestmark = [pytest.mark.clause("R13")]


async def replay_pupil(registry: Registry, **before: float) -> Replay:
    """Replay the pupil now, or that long ago."""
    async with registry.as_worker() as session:
        students = await load_student_refs(session, [registry.pupil.id])
        [result] = await replays(session, list(students.values()), registry.at - timedelta(**before))
    return result


def difference_kinds(replay: Replay) -> list[str]:
    return [difference.kind for difference in replay.differences]


@pytest.mark.parametrize("misses", [0, 1, 2, 3])
async def test_unchanged_rows_show_no_difference(registry: Registry, misses: int) -> None:
    await registry.misses(misses)
    await registry.recompute()
    registry.pass_time(days=1)
    replay = await replay_pupil(registry)
    assert replay.differences == ()
    assert replay.pending == ()


async def test_an_executed_change_replays_to_the_stored_bytes(registry: Registry) -> None:
    entry_id = await executed(registry)
    replay = await replay_pupil(registry)
    assert replay.differences == ()
    [entry] = replay.assessment.ledger
    [row] = await registry.rows(tables.StandingEntry)
    assert entry.entry_id == str(entry_id)
    assert canonical(entry.trace) == canonical(row.trace)
    [prompt] = await registry.rows(tables.PromptRecord)
    assert canonical(replay.assessment.prompts[0].trace) == canonical(prompt.trace)


async def test_two_replays_of_one_instant_give_the_same_bytes(registry: Registry) -> None:
    await executed(registry)
    one, other = await replay_pupil(registry), await replay_pupil(registry)
    assert canonical(document(one.assessment)) == canonical(document(other.assessment))


async def test_a_replay_of_an_earlier_instant_gives_the_earlier_assessment(registry: Registry) -> None:
    await executed(registry)
    before = await replay_pupil(registry, days=19)
    assert before.assessment.ledger == ()
    assert before.assessment.status.study_form == "full_time"
    assert [prompt.state for prompt in before.assessment.prompts] == ["running"]
    assert before.differences == ()
    assert (await replay_pupil(registry)).assessment.status.study_form == "part_time"


async def test_a_prompt_not_stored_yet_is_pending_and_no_difference(registry: Registry) -> None:
    await registry.misses(2)
    replay = await replay_pupil(registry)
    assert replay.differences == ()
    assert replay.pending == (replay.assessment.prompts[0].prompt_id,)


async def test_a_changed_trace_is_found(registry: Registry) -> None:
    entry_id = await executed(registry)
    await tamper(
        registry,
        "UPDATE standing_entry SET trace = jsonb_set(trace, '{figures,0,value}', '50') WHERE id = :id",
        id=entry_id,
    )
    [difference] = (await replay_pupil(registry)).differences
    assert difference.kind == "entry_differs"
    assert difference.id == str(entry_id)
    assert list(difference.stored) == ["trace"]


async def test_a_changed_prompt_is_found(registry: Registry) -> None:
    await registry.misses(2)
    await registry.recompute()
    await tamper(
        registry,
        "UPDATE prompt SET proposed = 'withdrawal' WHERE student_id = :id",
        id=registry.pupil.id,
    )
    [difference] = (await replay_pupil(registry)).differences
    assert (difference.kind, difference.stored) == ("prompt_differs", {"proposed": "withdrawal"})
    assert difference.replayed == {"proposed": "part_time"}


@pytest.mark.clause("HN334-4.2")
async def test_a_missing_entry_is_found(registry: Registry) -> None:
    entry_id = await executed(registry)
    await tamper(registry, "DELETE FROM aid_released WHERE change_id = :id", id=entry_id)
    await tamper(registry, "DELETE FROM standing_entry WHERE id = :id", id=entry_id)
    differences = (await replay_pupil(registry)).differences
    assert {(each.kind, each.id) for each in differences} == {
        ("entry_missing", str(entry_id)),
        ("release_missing", str(entry_id)),
    }


async def test_an_entry_without_basis_is_found(registry: Registry) -> None:
    await registry.misses(1)
    await registry.recompute()
    pupil = registry.pupil
    async with registry.roll_call_scenario.owner_transaction() as session:
        entry = tables.StandingEntry(
            id=UUID(int=registry.pupil.id.int ^ 1),
            school_id=pupil.school_id,
            student_id=pupil.id,
            seq=1,
            at=registry.at,
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
            recorded_at=registry.at,
        )
        session.add(entry)
    assert difference_kinds(await replay_pupil(registry)) == ["entry_without_basis", "status_differs"]


async def test_a_status_changed_without_an_entry_is_found(registry: Registry) -> None:
    await executed(registry)
    await tamper(
        registry, update(Student).where(Student.id == registry.pupil.id).values(study_form="full_time")
    )
    [difference] = (await replay_pupil(registry)).differences
    assert difference.kind == "status_differs"
    assert difference.stored == {"study_form": "full_time"}
    assert difference.replayed == {"study_form": "part_time"}


async def test_a_changed_step_is_found(registry: Registry) -> None:
    await executed(registry)
    await tamper(
        registry,
        "UPDATE prompt_step SET state = 'dismissed' WHERE student_id = :id AND state = 'executed'",
        id=registry.pupil.id,
    )
    [difference] = (await replay_pupil(registry)).differences
    assert (difference.kind, difference.stored) == ("step_differs", {"state": "dismissed"})


async def test_a_changed_result_leaves_the_prompt_without_basis(
    registry: Registry,
) -> None:
    await registry.misses(2)
    await registry.recompute()
    await tamper(
        registry,
        "UPDATE outcome_entry SET outcome = 'present' WHERE student_id = :id",
        id=registry.pupil.id,
    )
    assert difference_kinds(await replay_pupil(registry)) == ["prompt_without_basis", "counts_differ"]


async def test_a_changed_assessment_is_found(registry: Registry) -> None:
    await registry.misses(1)
    await registry.recompute()
    [standing] = await registry.rows(tables.StudentStanding)
    edited = json.dumps(standing.assessment | {"warnings": []})
    await tamper(
        registry,
        "UPDATE student_standing SET assessment = CAST(:assessment AS jsonb) WHERE student_id = :id",
        assessment=edited,
        id=registry.pupil.id,
    )
    assert difference_kinds(await replay_pupil(registry)) == ["picture_altered"]


async def test_a_deleted_warning_is_found(registry: Registry) -> None:
    await registry.misses(1)
    await registry.recompute()
    await tamper(registry, "DELETE FROM standing_warning WHERE student_id = :id", id=registry.pupil.id)
    assert difference_kinds(await replay_pupil(registry)) == ["warning_missing"]


async def test_a_deleted_assessment_is_found(registry: Registry) -> None:
    await registry.misses(2)
    await registry.recompute()
    await tamper(registry, "DELETE FROM student_standing WHERE student_id = :id", id=registry.pupil.id)
    assert difference_kinds(await replay_pupil(registry)) == ["picture_missing"]


def test_every_kind_of_difference_has_both_languages() -> None:
    assert all(zh and en for zh, en in DIFFERENCE_KINDS.values())
