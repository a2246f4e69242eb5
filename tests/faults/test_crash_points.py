"""Commits are recognised by the relay, and the trap kills once before and once after each kind of commit."""

import struct
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from backend.events import EVENT_TYPES, SUBSCRIPTIONS
from tests.faults.crash_points import COMMITS, EVENTS, SHORT_RUN_COMMITS, CrashPointTrap
from tests.faults.deployment import Deployment, Process
from tests.faults.nemesis import Nemesis
from tests.faults.relay import Commit, ConnectionState, Moment, Relay, StatementReader

SETTLEMENT = Commit(frozenset({"roll_call_step", "outcome_entry"}), frozenset({"roll_call.settle"}))


@dataclass
class FakeDeployment:
    """A fake deployment with one worker, and a fake nemesis that counts kills."""

    process: Process = field(default_factory=lambda: Process("worker-1", "worker", {}, {}, None, pid=1))
    kills: int = 0

    def process_behind(self, _relay: object) -> Process:
        return self.process

    def note(self, *_words: object, **_values: object) -> None:
        return None

    def kill_behind(self, _relay: object) -> None:
        self.kills += 1


@pytest.fixture
def fake() -> FakeDeployment:
    return FakeDeployment()


@pytest.fixture
def crash_points(fake: FakeDeployment) -> CrashPointTrap:
    return CrashPointTrap(COMMITS, cast("Deployment", fake), cast("Nemesis", fake))


def commit_and_list_kills(crash_points: CrashPointTrap, commit: Commit) -> list[Moment]:
    """Return the moment at which the process was killed for this commit, in a list that is empty if it was not."""
    moments: tuple[Moment, ...] = ("before", "after")
    relay = cast("Relay", None)
    moments_killed = []
    for moment in moments:
        if crash_points.trigger(relay, moment, commit):
            moments_killed.append(moment)
            break
    return moments_killed


def test_process_is_killed_before_then_after_a_commit_then_spared(
    crash_points: CrashPointTrap, fake: FakeDeployment
) -> None:
    assert [commit_and_list_kills(crash_points, SETTLEMENT) for _ in range(3)] == [["before"], ["after"], []]
    assert fake.kills == 2
    assert {name for name, _ in crash_points.triggered_points} == {"settlement"}


def test_killed_process_is_not_killed_again(crash_points: CrashPointTrap, fake: FakeDeployment) -> None:
    fake.process.killed = True
    assert commit_and_list_kills(crash_points, SETTLEMENT) == []


def test_empty_fetches_and_read_only_calls_are_no_crash_points(crash_points: CrashPointTrap) -> None:
    assert (
        commit_and_list_kills(crash_points, Commit(frozenset({"definer.claim_verifications"}), idle=True))
        == []
    )
    assert commit_and_list_kills(crash_points, Commit(frozenset({"definer.due_roll_calls"}))) == []
    assert commit_and_list_kills(crash_points, Commit(frozenset({"definer.claim_verifications"}))) == [
        "before"
    ]
    assert commit_and_list_kills(crash_points, Commit(frozenset({"audit_seal"}), idle=True)) == ["before"]


def test_unreached_crash_points_are_violations(crash_points: CrashPointTrap) -> None:
    commit_and_list_kills(crash_points, SETTLEMENT)
    texts = [each.text for each in crash_points.violations()]
    assert "crash point after settlement" in texts
    assert "crash point before settlement" not in texts
    assert next(crash_points.lines()).startswith(f"crash points: 1 of {2 * len(COMMITS)}")


def test_each_consumer_of_a_produced_event_has_one_crash_point() -> None:
    names = [kind.name for kind in COMMITS]
    assert len(names) == len(set(names))
    consumers = {
        f"delivery to {consumer.name}" for event in EVENTS for consumer in SUBSCRIPTIONS[EVENT_TYPES[event]]
    }
    assert consumers <= set(names)
    assert len(SHORT_RUN_COMMITS) == 4


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def bind_message(*values: bytes | None) -> bytes:
    """Return a Bind message for the statement `s` with these parameters."""
    sent = b"".join(
        struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value for value in values
    )
    return message(b"B", b"\0s\0" + struct.pack("!HH", 0, len(values)) + sent + b"\0\0")


def reader_with_statement(statement: str) -> StatementReader:
    """Return a reader that has parsed the startup message and the statement `s`."""
    statements = StatementReader()
    statements.feed(struct.pack("!II", 8 + 5, 196608) + b"user\0")
    statements.feed(message(b"P", b"s\0" + statement.encode() + b"\0\0\0"))
    return statements


def test_statement_reader_finds_the_name_of_an_audit_action() -> None:
    statements = reader_with_statement("INSERT INTO audit_entry (act, at, subject) VALUES ($1, $2, $3)")
    statements.feed(message(b"Q", b"BEGIN\0"))
    assert statements.feed(bind_message(b"roll_call.void", None, b"2026-11-22")) is None
    commit = statements.feed(message(b"Q", b"COMMIT\0"))
    assert commit == Commit(frozenset({"audit_entry"}), frozenset({"roll_call.void"}))


def test_statement_reader_finds_names_in_json_rows() -> None:
    statements = reader_with_statement(
        "INSERT INTO outbox_event (id, name) SELECT id, name FROM jsonb_populate_recordset($1)"
    )
    statements.feed(message(b"Q", b"BEGIN\0"))
    statements.feed(bind_message('[{"id": "1", "name": "AppealFiled"},{"id": "2", "name": "张三"}]'.encode()))
    commit = statements.feed(message(b"Q", b"COMMIT\0"))
    assert commit == Commit(frozenset({"outbox_event"}), frozenset({"AppealFiled"}))


def test_statement_outside_a_transaction_is_a_commit() -> None:
    statements = reader_with_statement("SELECT definer.use_proof($1)")
    commit = statements.feed(bind_message(b"x"))
    assert commit == Commit(frozenset({"definer.use_proof"}), alone=True)
    done = message(b"C", b"SELECT 1\0") + message(b"Z", b"I")
    assert commit is not None
    assert commit.is_done(done)
    assert not commit.is_done(message(b"E", b"FATAL\0") + message(b"Z", b"I"))


@pytest.mark.parametrize(
    ("answer", "idle"),
    [
        (message(b"C", b"SELECT 0\0"), True),
        (message(b"C", b"SELECT 2\0"), False),
        (message(b"D", struct.pack("!Hi", 9, -1)) + message(b"C", b"SELECT 1\0"), True),
        (message(b"D", struct.pack("!Hi", 1, 1) + b"7") + message(b"C", b"SELECT 1\0"), False),
    ],
)
def test_connection_state_knows_whether_a_query_found_rows(answer: bytes, idle: bool) -> None:
    state: Any = ConnectionState()
    state.observe(answer)
    assert state.idle is idle
