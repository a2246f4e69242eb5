"""Every commit of the flow, by name, and the gauntlet that kills whoever makes it: once before, once after."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

from backend.events import EVENT_TYPES, SUBSCRIPTIONS
from tests.faults.checker import Violation
from tests.faults.deployment import House
from tests.faults.nemesis import Nemesis
from tests.faults.relay import Commit, Moment, Relay

MOMENTS: tuple[Moment, ...] = ("before", "after")
EVENTS = (
    "RollCallLaunched",
    "RemindersSent",
    "RollCallExtended",
    "RollCallVoided",
    "RollCallSettled",
    "OutcomeChanged",
    "DeviceRebound",
    "LeaveRequested",
    "LeaveDecided",
    "LeaveCancelled",
    "StudentWarned",
    "PromptRaised",
    "AppealFiled",
    "AppealWithdrawn",
    "AppealDecided",
)
"""What a walk makes happen; each of their consumers has a commit of its own."""
READS = frozenset(
    f"definer.{name}"
    for name in (
        "authorities_of",
        "declared_frames",
        "due_roll_calls",
        "due_standings",
        "check_in_facts",
        "registration",
        "staff_session",
        "unassessed_schools",
        "unreplayed_schools",
        "verifications_wait",
        "with_frames_seen_elsewhere",
    )
)
"""Functions that only look: a transaction of nothing else leaves nothing behind."""
CONSUMERS = frozenset(consumer.name for consumers in SUBSCRIPTIONS.values() for consumer in consumers)
TAKES = frozenset({"definer.claim_verifications", "procrastinate_fetch_job_v2"})
"""Functions that take work if there is any; where there is none, they leave nothing behind either."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One commit of the flow: made by a `process`, which writes at least these tables and none of those it is `without`, and
    calls it by these names.
    """

    name: str
    process: str
    tables: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()

    def is_(self, process: str, commit: Commit) -> bool:
        """Whether the commit is of this kind."""
        return (
            process == self.process
            and self.tables <= commit.tables
            and self.names <= commit.names
            and not self.without & commit.tables
        )


def _made_by(process: str, name: str, tables: str = "", *, called: str = "", without: str = "") -> Kind:
    written, named, unwritten = (frozenset(words.split()) for words in (tables, called, without))
    return Kind(name, process, written, named, unwritten)


_api, _worker = partial(_made_by, "api"), partial(_made_by, "worker")


def _consumers() -> Iterator[Kind]:
    told = {consumer.name for event in EVENTS for consumer in SUBSCRIPTIONS[EVENT_TYPES[event]]}
    for name in sorted(told):
        yield _worker(f"told to {name}", "outbox_delivery", called=name)


OF_STAFF = (
    _api("launch", called="roll_call.launch"),
    _api("voiding", called="roll_call.void"),
    _api("urge", called="roll_call.remind"),
    _api("card code", called="student_code.issue"),
    _api("attestation", "attestation"),
    _api("review of an attestation", "attestation_review"),
    _api("appeal decided", called="AppealDecided"),
    _api("determination", "outcome_entry"),
    _api("leave decided", called="LeaveDecided"),
)
OF_STUDENTS = (
    _api("proof spent", "definer.use_proof"),
    _api("challenge", "challenge"),
    _api("envelopes", "definer.store_check_ins", without="procrastinate_defer_jobs_v1"),
    _api(
        "envelope that the settlement did not wait for", "definer.store_check_ins procrastinate_defer_jobs_v1"
    ),
    _api("frames", "definer.store_frames"),
    _api("leave asked for", called="LeaveRequested"),
    _api("leave withdrawn", called="LeaveCancelled"),
    _api("registration", "definer.open_registration"),
    _api("code tried", "definer.try_code"),
    _api("rebinding", called="DeviceRebound"),
    _api("appeal", called="AppealFiled"),
    _api("appeal withdrawn", called="AppealWithdrawn"),
)
OF_WORKERS = (
    *_consumers(),
    _worker("extension", called="roll_call.extend"),
    _worker("settlement", called="roll_call.settle"),
    _worker("announcement by the clock", "roll_call_step", without="outbox_delivery outbox_event"),
    _worker("verification leased", "definer.claim_verifications"),
    _worker("verdict with an outcome", "verdict verification_task outcome_entry"),
    _worker("verdict without an outcome", "verdict verification_task", without="outcome_entry"),
    _worker("pace of verification", "verification_throughput"),
    _worker("overdue bursts given to verification", "verification_task", without="verdict"),
    _worker("settled again", "outcome_entry outbox_event"),
    _worker("counters folded", "definer.flush_outcome_counts"),
    _worker("assessment that prompts", called="PromptRaised"),
    _worker("assessment that warns", called="StudentWarned"),
    _worker("assessment", "student_lock", without="outbox_event"),
    _worker("day assessed", "daily_assessment"),
    _worker("registration verified", "registration notice"),
    _worker("message to the carrier", "notice_delivery", without="notice"),
    _worker("audit sealed", "audit_seal"),
    _worker(
        "jobs put into the queue by the clock",
        "procrastinate_defer_jobs_v1",
        without="outbox_delivery outbox_event registration",
    ),
    _worker("job of the clock", "procrastinate_defer_periodic_job_v2"),
    _worker("job taken", "procrastinate_fetch_job_v2"),
    _worker("job finished", "procrastinate_finish_job_v1"),
    _worker("job of a dead worker given on", "procrastinate_retry_job_v2"),
)
COMMITS = (
    *OF_STAFF,
    *OF_STUDENTS,
    _api("pulse of the service", "service_heartbeat"),
    _api("report of the carrier", "definer.record_sms_reports"),
    *OF_WORKERS,
)
FEW = tuple(
    kind for kind in COMMITS if kind.name in {"launch", "envelopes", "verdict with an outcome", "settlement"}
)
"""Of the short form."""


@dataclass(slots=True)
class Gauntlet:
    """Kills at the first commit of each kind before it, and at the next one after it. Deterministic: nothing is drawn."""

    commits: tuple[Kind, ...]
    house: House
    nemesis: Nemesis
    passed: set[tuple[str, Moment]] = field(default_factory=set)
    others: Counter[str] = field(default_factory=Counter)
    """Commits that no kind names."""

    @property
    def left(self) -> list[tuple[str, Moment]]:
        """Points at which nobody died yet."""
        points = [(kind.name, moment) for kind in self.commits for moment in MOMENTS]
        return [point for point in points if point not in self.passed]

    def springs(self, relay: Relay, moment: Moment, commit: Commit) -> bool:
        """True if the process behind the relay was killed just now."""
        process = self.house.behind(relay)
        if process is None or process.pid is None or process.killed:
            return False
        if commit.tables <= READS or (commit.idle and commit.tables <= TAKES):
            return False
        made_by = process.name.partition("-")[0]
        kind = next((each for each in self.commits if each.is_(made_by, commit)), None)
        if kind is None:
            told = sorted(commit.names & CONSUMERS)
            self.others[" ".join([made_by, *told, *sorted(commit.tables - READS)])] += moment == "after"
            return False
        turn: Moment = "after" if (kind.name, "before") in self.passed else "before"
        if moment != turn or (kind.name, turn) in self.passed:
            return False
        self.nemesis.kill_behind(relay)
        self.house.note("gauntlet", "note", "crash point", commit=kind.name, moment=moment)
        self.passed.add((kind.name, moment))
        return True

    def violations(self) -> list[Violation]:
        """Points that the walk never came to."""
        return [Violation("not reached", f"crash point {moment} {name}") for name, moment in self.left]

    def lines(self) -> Iterator[str]:
        """For the report."""
        if not self.commits:
            return
        total = len(MOMENTS) * len(self.commits)
        yield f"crash points: {total - len(self.left)} of {total}, before and after {len(self.commits)} commits"
        if self.others and self.commits is COMMITS:
            yield "not of the flow, left alone: " + "; ".join(
                f"{name} ({n})" for name, n in sorted(self.others.items())
            )
