"""Checks a run against its history and the database. Each function checks one invariant."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg

from backend.events import SUBSCRIPTIONS
from tests.faults.database_records import Records, exists, frozen_digest, rows
from tests.faults.history import History


@dataclass(frozen=True, slots=True)
class Violation:
    """A violated invariant: its kind (`lost`, `falsely missed`, `doubled`, …), a text, and whose history shows it."""

    kind: str
    text: str
    who: str = ""
    about: frozenset[str] = frozenset()


@dataclass(slots=True)
class RunEvidence:
    """The data that the checks read."""

    history: History
    records: Records
    connection: psycopg.Connection[Any]
    frozen: dict[str, str] = field(default_factory=dict)
    """Digest of the rows that each launch froze, taken when the launch was acknowledged."""
    progress: list[dict[str, Any]] = field(default_factory=list)
    """Final figures from the API, one item per roll call and level of the tree."""


Check = Callable[[RunEvidence], Iterator[Violation]]


def acknowledged_envelopes_are_stored(evidence: RunEvidence) -> Iterator[Violation]:
    """Invariant 1: each acknowledged envelope is stored, with exactly the receipt that the client got."""
    for entry in evidence.history.find("envelope", "ok"):
        nonce, student = entry.value["nonce"], entry.who
        stored = evidence.records.submissions.get(nonce)
        about = frozenset({nonce})
        if stored is None:
            yield Violation("lost", f"acknowledged envelope {nonce} is not stored", student, about)
        elif stored["receipt"] != entry.value["receipt"] or stored["id"] != entry.value["submission_id"]:
            yield Violation("doubled", f"envelope {nonce} has another receipt than was given", student, about)
        elif stored["student_id"] != student:
            yield Violation("doubled", f"envelope {nonce} is stored for another student", student, about)


def in_time_envelope_is_not_missed(evidence: RunEvidence) -> Iterator[Violation]:
    """Invariant 2: a miss requires a negative verdict on each envelope; an honest, complete check-in means present."""
    records = evidence.records
    honest = {
        entry.value["nonce"] for entry in evidence.history.find("envelope", "ok") if entry.value["honest"]
    }
    rebound = {entry.who for entry in evidence.history.find("rebinding", "invoke")}
    for nonce, stored in records.submissions.items():
        roll_call, student = stored["roll_call_id"], stored["student_id"]
        if (roll_call, "settled") not in records.steps:
            continue
        outcome, verdict = records.effective(roll_call, student), records.verdicts.get(stored["id"])
        about = frozenset({nonce, roll_call, stored["id"]})
        found = f"finding {verdict['finding']} {verdict['reasons']}" if verdict else "no verdict"
        if outcome is None:
            continue  # each_obligation_has_one_outcome reports it
        if outcome["outcome"] == "missed" and (verdict is None or verdict["finding"] != "rejected"):
            yield Violation("falsely missed", f"missed in spite of envelope {nonce}: {found}", student, about)
        complete = records.frames.get(stored["id"], 0) == stored["frame_count"]
        expected = nonce in honest and complete and student not in rebound
        if expected and outcome["outcome"] not in {"present", "excused"}:
            kind = "falsely missed" if outcome["outcome"] == "missed" else "unresolved"
            text = f"honest and complete, yet {outcome['outcome']} ({outcome['reason']}): {found}"
            yield Violation(kind, text, student, about)


def each_obligation_has_one_outcome(evidence: RunEvidence) -> Iterator[Violation]:
    """Invariant 3: outcome entries are numbered without a gap, and each obligation has one after the settlement."""
    records = evidence.records
    owing = {}
    for row in records.obligations:
        owing[row["roll_call_id"], row["student_id"]] = row["duty"]
    for (roll_call, student), duty in owing.items():
        entries = records.outcomes.get((roll_call, student), [])
        about = frozenset({roll_call})
        if [entry["seq"] for entry in entries] != list(range(1, len(entries) + 1)):
            yield Violation("doubled", f"outcomes of {student} in {roll_call} are not 1..n", student, about)
        settled = (roll_call, "settled") in records.steps or (roll_call, "voided") in records.steps
        if duty != "exempt" and settled and not entries:
            yield Violation("lost", f"{student} has no outcome in {roll_call}", student, about)
        if duty == "exempt" and entries:
            yield Violation(
                "doubled", f"{student} was exempt in {roll_call} and has an outcome", student, about
            )
    for key in records.outcomes.keys() - owing.keys():
        yield Violation("doubled", f"an outcome without an obligation: {key}")


def sums_balance(evidence: RunEvidence) -> Iterator[Violation]:
    """Invariant 4: sums balance per class in the database, in the settlement figures, and at each level of the API."""
    records = evidence.records
    counts: Counter[tuple[str, str]] = Counter()
    for (roll_call, _), entries in records.outcomes.items():
        counts[roll_call, entries[-1]["class_id"]] += 1
    by_roll_call: dict[str, int] = defaultdict(int)
    for row in records.class_figures:
        owed = row["owed"] + row["excused"]
        by_roll_call[row["roll_call_id"]] += owed
        if (row["roll_call_id"], "settled") not in records.steps:
            continue
        if counts[row["roll_call_id"], row["class_id"]] != owed:
            yield Violation(
                "unbalanced",
                f"class {row['class_id']}: {owed} owed, {counts[row['roll_call_id'], row['class_id']]} outcomes",
            )
    for (roll_call, step), row in records.steps.items():
        figures = row["figures"] or {}
        if step == "settled" and (
            sum(figures.values()) != 2 * figures["obligations"]
            or figures["obligations"] != by_roll_call[roll_call]
        ):
            yield Violation("unbalanced", f"the settlement of {roll_call} says {figures}")
    for shown in evidence.progress:
        yield from _progress_sums_balance(records, shown)


def _progress_sums_balance(records: Records, shown: dict[str, Any]) -> Iterator[Violation]:
    names = ("present", "missed", "excused", "undetermined")
    lines = [shown["unit"], *shown["unit"]["children"]]
    for line in lines:
        if sum(line[name] for name in names) + line["waiting"] != line["obligations"]:
            yield Violation("unbalanced", f"progress of {shown['roll_call']} at {line['name']}: {line}")
    for name in (*names, "obligations", "waiting"):
        below = sum(child[name] for child in shown["unit"]["children"])
        if shown["unit"]["children"] and below != shown["unit"][name]:
            yield Violation(
                "unbalanced", f"{name} of {shown['unit']['name']}: {shown['unit'][name]}, below it {below}"
            )
    if shown["whole"]:
        effective = Counter(
            entries[-1]["outcome"]
            for (roll_call, _), entries in records.outcomes.items()
            if roll_call == shown["roll_call"]
        )
        said = {name: shown["unit"][name] for name in names}
        if said != {name: effective[name] for name in names}:
            yield Violation(
                "unbalanced", f"progress of {shown['roll_call']} says {said}, the outcomes {dict(effective)}"
            )


def no_miss_before_verification(evidence: RunEvidence) -> Iterator[Violation]:
    """Invariant 5: a miss is only written after all in-time envelopes are resolved, or it is corrected later."""
    records = evidence.records
    sent: dict[tuple[str, str], list[str]] = defaultdict(list)
    for stored in records.submissions.values():
        sent[stored["roll_call_id"], stored["student_id"]].append(stored["id"])
    for key, entries in records.outcomes.items():
        for entry, successor in zip(entries, [*entries[1:], None], strict=True):
            if entry["outcome"] != "missed" or successor is not None or key not in sent:
                continue
            early = [
                each
                for each in sent[key]
                if each not in records.verdicts or records.verdicts[each]["at"] > entry["at"]
            ]
            if early:
                yield Violation(
                    "falsely missed", f"missed before {early} were verified", key[1], frozenset({key[0]})
                )


def leave_is_not_self_approved(evidence: RunEvidence) -> Iterator[Violation]:
    """Invariant 9, for leave: students cannot decide their own request, and acknowledged decisions are stored."""
    bad = rows(
        evidence.connection,
        "SELECT d.leave_id::text AS leave, d.decided_by = d.filed_by AS own, a.kind FROM leave_decision d"
        " JOIN account a ON a.id = d.decided_by"
        " WHERE d.decided_by = d.filed_by OR a.kind NOT IN ('counselor', 'registrar')",
    )
    for row in bad:
        yield Violation("own approval", f"leave {row['leave']} was decided by {row['kind']}")
    for act, table in (("leave decision", "leave_decision"), ("leave withdrawal", "leave_cancellation")):
        kept = {row["id"] for row in rows(evidence.connection, f"SELECT leave_id::text AS id FROM {table}")}
        for entry in evidence.history.find(act, "ok"):
            if entry.value["leave"] not in kept:
                about = frozenset({entry.value["leave"]})
                yield Violation("lost", f"acknowledged {act} of {entry.value['leave']}", entry.who, about)
    asked = {row["id"] for row in rows(evidence.connection, "SELECT id::text FROM leave_request")}
    for entry in evidence.history.find("leave", "ok"):
        if entry.value["id"] not in asked:
            yield Violation(
                "lost", f"acknowledged leave {entry.value['id']}", entry.who, frozenset({entry.value["id"]})
            )


def frozen_rows_are_unchanged(evidence: RunEvidence) -> Iterator[Violation]:
    """Invariant 10: rows frozen by a launch never change. Also, each acknowledged launch is stored."""
    for roll_call, digest in evidence.frozen.items():
        if roll_call not in evidence.records.roll_calls:
            yield Violation("lost", f"acknowledged launch {roll_call}")
        elif frozen_digest(evidence.connection, roll_call) != digest:
            yield Violation("thawed", f"what the launch of {roll_call} froze has changed")
    caught_twice = rows(
        evidence.connection,
        "SELECT o.student_id::text AS student FROM obligation o JOIN roll_call r ON r.id = o.roll_call_id"
        " JOIN obligation p ON p.student_id = o.student_id AND p.roll_call_id > o.roll_call_id"
        " JOIN roll_call s ON s.id = p.roll_call_id"
        " WHERE r.kind = 'spot_check' AND s.kind = 'spot_check' AND o.duty <> 'exempt' AND p.duty <> 'exempt'"
        " AND r.opens_at <= s.closes_at AND r.closes_at >= s.opens_at",
    )
    for row in caught_twice:
        yield Violation("doubled", "two spot checks over one window", row["student"])


def student_has_one_active_key(evidence: RunEvidence) -> Iterator[Violation]:
    """Invariant 11: a student has at most one active key. Also, each acknowledged rebinding is stored."""
    several = rows(
        evidence.connection,
        "SELECT student_id::text AS student FROM device_key WHERE status = 'active'"
        " GROUP BY student_id HAVING count(*) > 1"
        " UNION ALL SELECT min(student_id::text) FROM device_key GROUP BY jkt HAVING count(*) > 1",
    )
    for row in several:
        yield Violation("doubled", "more than one active key", row["student"])
    bound = {row["jkt"] for row in rows(evidence.connection, "SELECT jkt FROM device_key")}
    for entry in evidence.history.find("rebinding", "ok"):
        if entry.value["key"] not in bound:
            yield Violation("lost", "an acknowledged rebinding", entry.who, frozenset({entry.value["key"]}))


def nonces_and_proofs_are_used_once(evidence: RunEvidence) -> Iterator[Violation]:
    """Invariant 12: each nonce and each DPoP proof is accepted at most once."""
    for row in rows(evidence.connection, "SELECT nonce FROM submission GROUP BY nonce HAVING count(*) > 1"):
        yield Violation("doubled", f"nonce {row['nonce']} is stored twice")
    spent = Counter(entry.value["proof"] for entry in evidence.history.find("proof", "ok"))
    for proof, times in spent.items():
        if times > 1:
            yield Violation("doubled", f"proof {proof} took effect {times} times")


def all_work_is_finished(evidence: RunEvidence) -> Iterator[Violation]:
    """Invariant 15: queues are empty, each event was delivered to each consumer, and no job was given up."""
    for text in find_unfinished_work(evidence.connection):
        yield Violation("unfinished", text)


def find_unfinished_work(connection: psycopg.Connection[Any]) -> list[str]:
    """Describe all unfinished work. Empty if all queues are drained."""
    found = []
    if exists(connection, "procrastinate_jobs"):
        # Periodic jobs can always be waiting. They are recognised by their timestamp argument.
        waiting = rows(
            connection,
            "SELECT task_name, status::text, count(*) AS n FROM procrastinate_jobs WHERE NOT args ? 'timestamp'"
            " AND status IN ('todo', 'doing', 'failed', 'aborted') GROUP BY 1, 2 ORDER BY 1, 2",
        )
        found += [f"{row['n']} jobs {row['task_name']} are {row['status']}" for row in waiting]
    unjudged = rows(
        connection,
        "SELECT count(*) AS n FROM submission s JOIN roll_call r ON r.id = s.roll_call_id"
        " WHERE NOT EXISTS (SELECT 1 FROM verdict v WHERE v.submission_id = s.id) AND s.frame_count ="
        " (SELECT count(*) FROM submission_frame f WHERE f.submission_id = s.id)",
    )[0]["n"]
    if unjudged:
        found.append(f"{unjudged} complete submissions have no verdict")
    if exists(connection, "verification_task"):
        waiting = rows(
            connection, "SELECT state::text, count(*) AS n FROM verification_task GROUP BY 1 ORDER BY 1"
        )
        found += [f"{row['n']} verifications are {row['state']}" for row in waiting]
    for event, consumers in SUBSCRIPTIONS.items():
        for consumer in consumers:
            missing = rows(
                connection,
                "SELECT count(*) AS n FROM outbox_event e WHERE e.name = %s AND NOT EXISTS"
                " (SELECT 1 FROM outbox_delivery d WHERE d.event_id = e.id AND d.consumer = %s)",
                *(event.__name__, consumer.name),
            )[0]["n"]
            if missing:
                found.append(f"{missing} events {event.__name__} were not delivered to {consumer.name}")
    return found


CHECKS: tuple[Check, ...] = (
    acknowledged_envelopes_are_stored,
    in_time_envelope_is_not_missed,
    each_obligation_has_one_outcome,
    sums_balance,
    no_miss_before_verification,
    leave_is_not_self_approved,
    frozen_rows_are_unchanged,
    student_has_one_active_key,
    nonces_and_proofs_are_used_once,
    all_work_is_finished,
)


def judge(evidence: RunEvidence) -> list[Violation]:
    """Return the violations of all checks."""
    return [violation for check in CHECKS for violation in check(evidence)]
