"""The checker finds what is wrong: each test spoils one thing of a history and a database that agree."""

import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self, cast

import psycopg
import pytest
from sqlalchemy import text

from tests.faults import checker
from tests.faults.checker import Check, Evidence
from tests.faults.database_records import Records, frozen_digest
from tests.faults.history import History
from tests.faults.relay import Commit, Reader
from tests.support.roll_call.scenario import Stage

AT = datetime(2026, 11, 20, 2, tzinfo=UTC)
CALL, CLASS, STUDENT, ABSENT, NONCE, SUBMISSION = "call", "class", "student", "absent", "nonce", "submission"


def outcome(student: str, result: str, seq: int = 1, **changes: Any) -> dict[str, Any]:
    row = {"roll_call_id": CALL, "student_id": student, "class_id": CLASS, "seq": seq, "outcome": result}
    return row | {"reason": "-", "method": "-", "at": AT + timedelta(minutes=5)} | changes


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    """One was there and checked in, one stayed away; the roll call is settled."""
    history = History(tmp_path / "history.jsonl", lambda: 0.0)
    value = {"roll_call": CALL, "nonce": NONCE, "honest": True}
    history.add(STUDENT, "invoke", "envelope", **value)
    history.add(STUDENT, "ok", "envelope", **value, submission_id=SUBMISSION, receipt="signed")
    figures = {"obligations": 2, "present": 1, "missed": 1, "excused": 0, "undetermined": 0}
    records = Records(
        roll_calls={CALL: {"id": CALL}},
        steps={(CALL, "settled"): {"figures": figures, "at": AT}},
        obligations=[
            {"roll_call_id": CALL, "student_id": each, "class_id": CLASS, "duty": "owed"}
            for each in (STUDENT, ABSENT)
        ],
        class_figures=[
            {"roll_call_id": CALL, "class_id": CLASS, "school_id": "-", "owed": 2, "excused": 0, "exempt": 0}
        ],
        submissions={
            NONCE: {
                "id": SUBMISSION,
                "roll_call_id": CALL,
                "student_id": STUDENT,
                "nonce": NONCE,
                "receipt": "signed",
                "frame_count": 8,
            }
        },
        verdicts={SUBMISSION: {"finding": "accepted", "reasons": [], "at": AT}},
        outcomes={
            (CALL, STUDENT): [outcome(STUDENT, "present")],
            (CALL, ABSENT): [outcome(ABSENT, "missed")],
        },
        frames={SUBMISSION: 8},
    )
    return Evidence(history, records, cast("psycopg.Connection[Any]", None))


def _without_the_envelope(evidence: Evidence) -> None:
    evidence.records.submissions.clear()


def _another_receipt(evidence: Evidence) -> None:
    evidence.records.submissions[NONCE]["receipt"] = "signed anew"


def _missed(evidence: Evidence) -> None:
    evidence.records.outcomes[CALL, STUDENT] = [outcome(STUDENT, "missed")]


def _missed_before_the_verdict(evidence: Evidence) -> None:
    _missed(evidence)
    evidence.records.verdicts[SUBMISSION] |= {"finding": "rejected", "at": AT + timedelta(hours=1)}


def _never_resolved(evidence: Evidence) -> None:
    evidence.records.outcomes[CALL, STUDENT] = [outcome(STUDENT, "undetermined")]


def _no_outcome(evidence: Evidence) -> None:
    del evidence.records.outcomes[CALL, ABSENT]


def _a_gap_in_the_entries(evidence: Evidence) -> None:
    evidence.records.outcomes[CALL, STUDENT].append(outcome(STUDENT, "present", seq=3))


def _sums_that_differ(evidence: Evidence) -> None:
    evidence.records.steps[CALL, "settled"]["figures"]["missed"] = 0


def _a_proof_that_counted_twice(evidence: Evidence) -> None:
    for _ in range(2):
        evidence.history.add(STUDENT, "ok", "proof", proof="same")


PURE: tuple[Check, ...] = (
    checker.acknowledged_envelopes_are_stored,
    checker.acknowledged_in_time_is_not_missed,
    checker.each_obligation_has_one_outcome,
    checker.sums_balance,
    checker.nothing_was_closed_too_early,
)


def found(evidence: Evidence) -> set[str]:
    return {violation.kind for check in PURE for violation in check(evidence)}


def test_nothing_is_found_where_nothing_is_wrong(evidence: Evidence) -> None:
    assert found(evidence) == set()


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (_without_the_envelope, "lost"),
        (_another_receipt, "doubled"),
        (_missed, "falsely missed"),
        (_missed_before_the_verdict, "falsely missed"),
        (_never_resolved, "unresolved"),
        (_no_outcome, "lost"),
        (_a_gap_in_the_entries, "doubled"),
        (_sums_that_differ, "unbalanced"),
    ],
)
def test_what_is_spoiled_is_found(evidence: Evidence, spoil: Callable[[Evidence], None], kind: str) -> None:
    spoil(evidence)
    assert kind in found(evidence)


async def test_a_row_that_launch_froze_cannot_change_unnoticed(stage: Stage) -> None:
    roll_call = (await stage.launch()).roll_call
    dsn = stage.owner.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)

    def digest() -> str:
        with psycopg.connect(dsn) as connection:
            connection.execute(
                "SELECT set_config('dianming.kind', 'wide', false), set_config('dianming.path', 'p410000', false)"
            )
            return frozen_digest(connection, str(roll_call.id))

    before = digest()
    assert digest() == before
    async with stage.arrange() as session:
        await session.execute(
            text("UPDATE obligation SET duty = 'excused', reason = 'on_leave' WHERE roll_call_id = :id"),
            {"id": roll_call.id},
        )
    assert digest() != before


def test_the_story_of_a_student_holds_the_own_lines_and_the_faults_between_them(evidence: Evidence) -> None:
    history = evidence.history
    history.add("nemesis", "note", "kill -9", process="before")
    history.add(STUDENT, "invoke", "envelope", nonce="other")
    history.add("nemesis", "note", "kill -9", process="between")
    history.add("somebody", "ok", "envelope", nonce="other")
    history.add(STUDENT, "unknown", "envelope", nonce="other")
    story = history.story(STUDENT, {"other"})
    assert len(story) == 3
    assert "between" in story[1]


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def test_a_relay_knows_which_tables_a_commit_wrote() -> None:
    reader = Reader()
    ready_banner = struct.pack("!II", 8 + 5, 196608) + b"user\0"
    prepared = message(b"P", b"s1\0INSERT INTO submission (id) VALUES ($1)\0\0\0")
    bound = message(b"B", b"\0s1\0" + b"\0" * 6)
    said = ready_banner + prepared + message(b"Q", b"BEGIN\0") + bound
    assert reader.hear(said[:20]) is None
    assert reader.hear(said[20:]) is None
    assert reader.hear(message(b"Q", b"UPDATE ONLY outcome_entry SET seq = 1\0")) is None
    assert reader.hear(message(b"Q", b"COMMIT\0")) == Commit(frozenset({"submission", "outcome_entry"}))
    assert reader.hear(message(b"Q", b"COMMIT\0")) is None


def test_proofs_are_counted_in_the_history(evidence: Evidence) -> None:
    _a_proof_that_counted_twice(evidence)
    evidence.connection = cast("psycopg.Connection[Any]", _Empty())
    assert [each.kind for each in checker.nonces_and_proofs_count_once(evidence)] == ["doubled"]


class _Empty:
    """A database in which nothing is found."""

    def cursor(self, **_options: Any) -> "_Empty":
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        return None

    def execute(self, *_statement: Any) -> None:
        return None

    def fetchall(self) -> list[Any]:
        return []
