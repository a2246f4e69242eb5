"""Every commit of the flow, by name, and the gauntlet that kills whoever makes it: once before, once after."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from backend.events import FLOW
from tests.faults.checker import Violation
from tests.faults.house import House
from tests.faults.nemesis import Nemesis
from tests.faults.relay import Commit, Moment, Relay

MOMENTS: tuple[Moment, ...] = ("before", "after")
EVENTS = (
    "RollCallLaunched",
    "StudentsUrged",
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
    f"door.{name}"
    for name in (
        "authorities_of",
        "declared_frames",
        "due_roll_calls",
        "due_standings",
        "intake_facts",
        "registration",
        "staff_session",
        "unassessed_schools",
        "unreplayed_schools",
        "verifications_wait",
        "with_frames_seen_elsewhere",
    )
)
"""Functions that only look: a transaction of nothing else leaves nothing behind."""
CONSUMERS = frozenset(consumer.name for consumers in FLOW.values() for consumer in consumers)
TAKES = frozenset({"door.claim_verifications", "procrastinate_fetch_job_v2"})
"""Functions that take work if there is any; where there is none, they leave nothing behind either."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One commit of the flow: made by a `process`, writing at least these tables and none of those it is `without`."""

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


def _by_tables(name: str, process: str, tables: str, without: str = "") -> Kind:
    return Kind(name, process, frozenset(tables.split()), without=frozenset(without.split()))


def _by_name(name: str, process: str, called: str, without: str = "") -> Kind:
    return Kind(name, process, names=frozenset({called}), without=frozenset(without.split()))


def _consumers() -> Iterator[Kind]:
    told = {consumer.name for event in EVENTS for consumer in FLOW[event]}
    for name in sorted(told):
        yield Kind(f"told to {name}", "worker", frozenset({"outbox_delivery"}), frozenset({name}))


OF_STAFF = (
    _by_name("launch", "api", "roll_call.launch"),
    _by_name("voiding", "api", "roll_call.void"),
    _by_name("urge", "api", "roll_call.urge"),
    _by_name("card code", "api", "student_code.issue"),
    _by_tables("attestation", "api", "attestation"),
    _by_tables("review of an attestation", "api", "attestation_review"),
    _by_name("appeal decided", "api", "AppealDecided"),
    _by_tables("determination", "api", "outcome_entry"),
    _by_name("leave decided", "api", "LeaveDecided"),
)
OF_STUDENTS = (
    _by_tables("proof spent", "api", "door.use_proof"),
    _by_tables("challenge", "api", "challenge"),
    _by_tables("envelopes", "api", "door.intake_store", "procrastinate_defer_jobs_v1"),
    _by_tables(
        "envelope that the settlement did not wait for",
        "api",
        "door.intake_store procrastinate_defer_jobs_v1",
    ),
    _by_tables("frames", "api", "door.store_frames"),
    _by_name("leave asked for", "api", "LeaveRequested"),
    _by_name("leave withdrawn", "api", "LeaveCancelled"),
    _by_tables("registration", "api", "door.open_registration"),
    _by_tables("code tried", "api", "door.try_code"),
    _by_name("rebinding", "api", "DeviceRebound"),
    _by_name("appeal", "api", "AppealFiled"),
    _by_name("appeal withdrawn", "api", "AppealWithdrawn"),
)
OF_WORKERS = (
    *_consumers(),
    _by_name("extension", "worker", "roll_call.extend"),
    _by_name("settlement", "worker", "roll_call.settle"),
    _by_tables("announcement by the clock", "worker", "roll_call_step", "outbox_delivery outbox_event"),
    _by_tables("verification leased", "worker", "door.claim_verifications"),
    _by_tables("verdict with an outcome", "worker", "verdict verification_task outcome_entry"),
    _by_tables("verdict without an outcome", "worker", "verdict verification_task", "outcome_entry"),
    _by_tables("pace of verification", "worker", "verification_pace"),
    _by_tables("overdue bursts given to verification", "worker", "verification_task", "verdict"),
    _by_tables("settled again", "worker", "outcome_entry outbox_event"),
    _by_tables("counters folded", "worker", "door.fold_outcomes"),
    _by_name("assessment that prompts", "worker", "PromptRaised"),
    _by_name("assessment that warns", "worker", "StudentWarned"),
    _by_tables("assessment", "worker", "student_turn", "outbox_event"),
    _by_tables("day assessed", "worker", "daily_assessment"),
    _by_tables("registration verified", "worker", "registration notice"),
    _by_tables("message to the carrier", "worker", "notice_delivery", "notice"),
    _by_tables("audit sealed", "worker", "audit_seal"),
    _by_tables(
        "jobs put into the queue by the clock",
        "worker",
        "procrastinate_defer_jobs_v1",
        "outbox_delivery outbox_event registration",
    ),
    _by_tables("job of the clock", "worker", "procrastinate_defer_periodic_job_v2"),
    _by_tables("job taken", "worker", "procrastinate_fetch_job_v2"),
    _by_tables("job finished", "worker", "procrastinate_finish_job_v1"),
    _by_tables("job of a dead worker given on", "worker", "procrastinate_retry_job_v2"),
)
COMMITS = (
    *OF_STAFF,
    *OF_STUDENTS,
    _by_tables("pulse of the service", "api", "service_pulse"),
    _by_tables("report of the carrier", "api", "door.note_sms_reports"),
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
