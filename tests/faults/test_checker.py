"""The checker finds violations. Each test corrupts one thing in a consistent history and database."""

import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self, cast

import psycopg
import pytest
from sqlalchemy import text

from tests.faults import checker
from tests.faults.checker import Check, RunEvidence
from tests.faults.database_records import Records, frozen_digest
from tests.faults.history import History
from tests.faults.relay import Commit, StatementReader
from tests.support.roll_call.scenario import RollCallScenario

AT = datetime(2026, 11, 20, 2, tzinfo=UTC)
CALL, CLASS, STUDENT, ABSENT, NONCE, SUBMISSION = "call", "class", "student", "absent", "nonce", "submission"


def outcome(student: str, result: str, seq: int = 1, **changes: Any) -> dict[str, Any]:
    row = {"roll_call_id": CALL, "student_id": student, "class_id": CLASS, "seq": seq, "outcome": result}
    return row | {"reason": "-", "method": "-", "at": AT + timedelta(minutes=5)} | changes


@pytest.fixture
def evidence(tmp_path: Path) -> RunEvidence:
    """A settled roll call: one student checked in, another one missed it."""
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
    return RunEvidence(history, records, cast("psycopg.Connection[Any]", None))


def delete_envelope(evidence: RunEvidence) -> None:
    evidence.records.submissions.clear()


def change_receipt(evidence: RunEvidence) -> None:
    evidence.records.submissions[NONCE]["receipt"] = "another signature"


def set_missed(evidence: RunEvidence) -> None:
    evidence.records.outcomes[CALL, STUDENT] = [outcome(STUDENT, "missed")]


def set_missed_before_verdict(evidence: RunEvidence) -> None:
    set_missed(evidence)
    evidence.records.verdicts[SUBMISSION] |= {"finding": "rejected", "at": AT + timedelta(hours=1)}


def set_undetermined(evidence: RunEvidence) -> None:
    evidence.records.outcomes[CALL, STUDENT] = [outcome(STUDENT, "undetermined")]


def delete_outcome(evidence: RunEvidence) -> None:
    del evidence.records.outcomes[CALL, ABSENT]


def skip_sequence_number(evidence: RunEvidence) -> None:
    evidence.records.outcomes[CALL, STUDENT].append(outcome(STUDENT, "present", seq=3))


def change_settlement_sum(evidence: RunEvidence) -> None:
    evidence.records.steps[CALL, "settled"]["figures"]["missed"] = 0


def accept_proof_twice(evidence: RunEvidence) -> None:
    for _ in range(2):
        evidence.history.add(STUDENT, "ok", "proof", proof="same")


CHECKS_WITHOUT_DATABASE: tuple[Check, ...] = (
    checker.acknowledged_envelopes_are_stored,
    checker.in_time_envelope_is_not_missed,
    checker.each_obligation_has_one_outcome,
    checker.sums_balance,
    checker.no_miss_before_verification,
)


def find_violations(evidence: RunEvidence) -> set[str]:
    return {violation.kind for check in CHECKS_WITHOUT_DATABASE for violation in check(evidence)}


def test_consistent_run_has_no_violations(evidence: RunEvidence) -> None:
    assert find_violations(evidence) == set()


@pytest.mark.parametrize(
    ("corrupt", "kind"),
    [
        (delete_envelope, "lost"),
        (change_receipt, "doubled"),
        (set_missed, "falsely missed"),
        (set_missed_before_verdict, "falsely missed"),
        (set_undetermined, "unresolved"),
        (delete_outcome, "lost"),
        (skip_sequence_number, "doubled"),
        (change_settlement_sum, "unbalanced"),
    ],
)
def test_each_corruption_is_found(
    evidence: RunEvidence, corrupt: Callable[[RunEvidence], None], kind: str
) -> None:
    corrupt(evidence)
    assert kind in find_violations(evidence)


async def test_change_of_a_frozen_row_changes_the_digest(scenario: RollCallScenario) -> None:
    roll_call = (await scenario.launch()).roll_call
    dsn = scenario.owner.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)

    def digest() -> str:
        with psycopg.connect(dsn) as connection:
            connection.execute(
                "SELECT set_config('dianming.kind', 'wide', false), set_config('dianming.path', 'p410000', false)"
            )
            return frozen_digest(connection, str(roll_call.id))

    before = digest()
    assert digest() == before
    async with scenario.owner_transaction() as session:
        await session.execute(
            text("UPDATE obligation SET duty = 'excused', reason = 'on_leave' WHERE roll_call_id = :id"),
            {"id": roll_call.id},
        )
    assert digest() != before


def test_lines_about_a_student_include_the_faults_in_between(
    evidence: RunEvidence,
) -> None:
    history = evidence.history
    history.add("nemesis", "note", "kill -9", process="before")
    history.add(STUDENT, "invoke", "envelope", nonce="other")
    history.add("nemesis", "note", "kill -9", process="between")
    history.add("other student", "ok", "envelope", nonce="other")
    history.add(STUDENT, "unknown", "envelope", nonce="other")
    story = history.lines_about(STUDENT, {"other"})
    assert len(story) == 3
    assert "between" in story[1]


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def test_statement_reader_knows_the_tables_of_a_commit() -> None:
    reader = StatementReader()
    startup_message = struct.pack("!II", 8 + 5, 196608) + b"user\0"
    prepared_statement = message(b"P", b"s1\0INSERT INTO submission (id) VALUES ($1)\0\0\0")
    bound = message(b"B", b"\0s1\0" + b"\0" * 6)
    data = startup_message + prepared_statement + message(b"Q", b"BEGIN\0") + bound
    assert reader.feed(data[:20]) is None
    assert reader.feed(data[20:]) is None
    assert reader.feed(message(b"Q", b"UPDATE ONLY outcome_entry SET seq = 1\0")) is None
    assert reader.feed(message(b"Q", b"COMMIT\0")) == Commit(frozenset({"submission", "outcome_entry"}))
    assert reader.feed(message(b"Q", b"COMMIT\0")) is None


def test_proof_accepted_twice_is_a_violation(evidence: RunEvidence) -> None:
    accept_proof_twice(evidence)
    evidence.connection = cast("psycopg.Connection[Any]", EmptyConnection())
    assert [each.kind for each in checker.nonces_and_proofs_are_used_once(evidence)] == ["doubled"]


class EmptyConnection:
    """A connection whose queries return no rows."""

    def cursor(self, **_options: Any) -> "EmptyConnection":
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        return None

    def execute(self, *_statement: Any) -> None:
        return None

    def fetchall(self) -> list[Any]:
        return []
