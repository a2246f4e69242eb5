"""What passes by a relay is told apart, and the gauntlet kills once before and once after each commit that it names."""

import struct
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from backend.events import EVENT_TYPES, SUBSCRIPTIONS
from tests.faults.crash_points import COMMITS, EVENTS, FEW, Gauntlet
from tests.faults.deployment import House, Process
from tests.faults.nemesis import Nemesis
from tests.faults.relay import Commit, Moment, Passing, Reader, Relay

SETTLEMENT = Commit(frozenset({"roll_call_step", "outcome_entry"}), frozenset({"roll_call.settle"}))


@dataclass
class _Nobody:
    """A house with one worker, and a nemesis that counts."""

    process: Process = field(default_factory=lambda: Process("worker-1", "worker", {}, {}, None, pid=1))
    died: int = 0

    def behind(self, _relay: object) -> Process:
        return self.process

    def note(self, *_words: object, **_values: object) -> None:
        return None

    def kill_behind(self, _relay: object) -> None:
        self.died += 1


@pytest.fixture
def nobody() -> _Nobody:
    return _Nobody()


@pytest.fixture
def gauntlet(nobody: _Nobody) -> Gauntlet:
    return Gauntlet(COMMITS, cast("House", nobody), cast("Nemesis", nobody))


def passes(gauntlet: Gauntlet, commit: Commit) -> list[Moment]:
    """The moments at which somebody died while the commit went by."""
    moments: tuple[Moment, ...] = ("before", "after")
    relay = cast("Relay", None)
    died = []
    for moment in moments:
        if gauntlet.springs(relay, moment, commit):
            died.append(moment)
            break
    return died


def test_a_commit_is_died_at_before_then_after_and_then_passes(gauntlet: Gauntlet, nobody: _Nobody) -> None:
    assert [passes(gauntlet, SETTLEMENT) for _ in range(3)] == [["before"], ["after"], []]
    assert nobody.died == 2
    assert {name for name, _ in gauntlet.passed} == {"settlement"}


def test_what_is_dead_already_dies_at_no_commit(gauntlet: Gauntlet, nobody: _Nobody) -> None:
    nobody.process.killed = True
    assert passes(gauntlet, SETTLEMENT) == []


def test_a_look_that_found_no_work_is_no_commit_of_the_flow(gauntlet: Gauntlet) -> None:
    assert passes(gauntlet, Commit(frozenset({"definer.claim_verifications"}), idle=True)) == []
    assert passes(gauntlet, Commit(frozenset({"definer.due_roll_calls"}))) == []
    assert passes(gauntlet, Commit(frozenset({"definer.claim_verifications"}))) == ["before"]
    assert passes(gauntlet, Commit(frozenset({"audit_seal"}), idle=True)) == ["before"]


def test_points_that_were_not_come_to_are_violations(gauntlet: Gauntlet) -> None:
    passes(gauntlet, SETTLEMENT)
    texts = [each.text for each in gauntlet.violations()]
    assert "crash point after settlement" in texts
    assert "crash point before settlement" not in texts
    assert next(gauntlet.lines()).startswith(f"crash points: 1 of {2 * len(COMMITS)}")


def test_each_consumer_of_what_a_walk_makes_happen_is_named_once() -> None:
    names = [kind.name for kind in COMMITS]
    assert len(names) == len(set(names))
    told = {f"told to {consumer.name}" for event in EVENTS for consumer in SUBSCRIPTIONS[EVENT_TYPES[event]]}
    assert told <= set(names)
    assert len(FEW) == 4


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def bound(*values: bytes | None) -> bytes:
    """A Bind message of the statement `s` with these parameters."""
    sent = b"".join(
        struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value for value in values
    )
    return message(b"B", b"\0s\0" + struct.pack("!HH", 0, len(values)) + sent + b"\0\0")


def reader(statement: str) -> Reader:
    """One that has heard the greeting and the text of the statement `s`."""
    heard = Reader()
    heard.hear(struct.pack("!II", 8 + 5, 196608) + b"user\0")
    heard.hear(message(b"P", b"s\0" + statement.encode() + b"\0\0\0"))
    return heard


def test_a_relay_knows_by_which_name_an_act_was_recorded() -> None:
    heard = reader("INSERT INTO audit_entry (act, at, subject) VALUES ($1, $2, $3)")
    heard.hear(message(b"Q", b"BEGIN\0"))
    assert heard.hear(bound(b"roll_call.void", None, b"2026-11-22")) is None
    said = heard.hear(message(b"Q", b"COMMIT\0"))
    assert said == Commit(frozenset({"audit_entry"}), frozenset({"roll_call.void"}))


def test_a_relay_knows_the_names_in_rows_that_are_one_document() -> None:
    heard = reader("INSERT INTO outbox_event (id, name) SELECT id, name FROM jsonb_populate_recordset($1)")
    heard.hear(message(b"Q", b"BEGIN\0"))
    heard.hear(bound('[{"id": "1", "name": "AppealFiled"},{"id": "2", "name": "张三"}]'.encode()))
    said = heard.hear(message(b"Q", b"COMMIT\0"))
    assert said == Commit(frozenset({"outbox_event"}), frozenset({"AppealFiled"}))


def test_a_statement_outside_a_transaction_is_a_commit_by_itself() -> None:
    heard = reader("SELECT definer.use_proof($1)")
    said = heard.hear(bound(b"x"))
    assert said == Commit(frozenset({"definer.use_proof"}), alone=True)
    done = message(b"C", b"SELECT 1\0") + message(b"Z", b"I")
    assert said is not None
    assert said.is_done(done)
    assert not said.is_done(message(b"E", b"FATAL\0") + message(b"Z", b"I"))


@pytest.mark.parametrize(
    ("answer", "idle"),
    [
        (message(b"C", b"SELECT 0\0"), True),
        (message(b"C", b"SELECT 2\0"), False),
        (message(b"D", struct.pack("!Hi", 9, -1)) + message(b"C", b"SELECT 1\0"), True),
        (message(b"D", struct.pack("!Hi", 1, 1) + b"7") + message(b"C", b"SELECT 1\0"), False),
    ],
)
def test_a_relay_sees_whether_a_question_found_anything(answer: bytes, idle: bool) -> None:
    passing: Any = Passing()
    passing.see(answer)
    assert passing.idle is idle
