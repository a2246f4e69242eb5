"""Lists each kind of commit by name, and kills the committing process once before and once after each kind."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

from backend.events import EVENT_TYPES, SUBSCRIPTIONS
from tests.faults.checker import Violation
from tests.faults.deployment import Deployment
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
"""Events that a crash point run produces. The delivery to each of their consumers is a separate commit."""
READ_ONLY_FUNCTIONS = frozenset(
    f"definer.{name}"
    for name in (
        "authorities_of_accounts",
        "declared_frames",
        "due_roll_calls",
        "due_standings",
        "check_in_facts",
        "registration",
        "staff_session",
        "unassessed_schools",
        "unreplayed_schools",
        "verifications_wait",
        "submissions_with_reused_frames",
    )
)
"""Read-only functions. A transaction that calls only these changes nothing."""
CONSUMERS = frozenset(consumer.name for consumers in SUBSCRIPTIONS.values() for consumer in consumers)
QUEUE_FUNCTIONS = frozenset({"definer.claim_verifications", "procrastinate_fetch_job_v2"})
"""Functions that fetch work. If there is none, they change nothing."""


@dataclass(frozen=True, slots=True)
class CommitKind:
    """One kind of commit: made by `process`, it writes at least `tables` and none of `without`, and its parameters contain
    `names` (audit actions, events or consumers).
    """

    name: str
    process: str
    tables: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()

    def matches(self, process: str, commit: Commit) -> bool:
        """Return whether a commit is of this kind."""
        return (
            process == self.process
            and self.tables <= commit.tables
            and self.names <= commit.names
            and not self.without & commit.tables
        )


def _commit_kind(
    process: str, name: str, tables: str = "", *, called: str = "", without: str = ""
) -> CommitKind:
    written, named, unwritten = (frozenset(words.split()) for words in (tables, called, without))
    return CommitKind(name, process, written, named, unwritten)


_api, _worker = partial(_commit_kind, "api"), partial(_commit_kind, "worker")


def _consumers() -> Iterator[CommitKind]:
    consumers = {consumer.name for event in EVENTS for consumer in SUBSCRIPTIONS[EVENT_TYPES[event]]}
    for name in sorted(consumers):
        yield _worker(f"delivery to {name}", "outbox_delivery", called=name)


STAFF_COMMITS = (
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
STUDENT_COMMITS = (
    _api("proof used", "definer.use_proof"),
    _api("challenge", "challenge"),
    _api("envelopes", "definer.store_check_ins", without="procrastinate_defer_jobs_v1"),
    _api(
        "envelope that the settlement did not wait for", "definer.store_check_ins procrastinate_defer_jobs_v1"
    ),
    _api("frames", "definer.store_frames"),
    _api("leave requested", called="LeaveRequested"),
    _api("leave withdrawn", called="LeaveCancelled"),
    _api("registration", "definer.open_registration"),
    _api("code checked", "definer.try_code"),
    _api("binding code", called="BindingCodeIssued"),
    _api("rebinding", called="DeviceRebound"),
    _api("appeal", called="AppealFiled"),
    _api("appeal withdrawn", called="AppealWithdrawn"),
)
WORKER_COMMITS = (
    *_consumers(),
    _worker("extension", called="roll_call.extend"),
    _worker("settlement", called="roll_call.settle"),
    _worker("announcement by the clock", "roll_call_step", without="outbox_delivery outbox_event"),
    _worker("verification leased", "definer.claim_verifications"),
    _worker("verdict with an outcome", "verdict verification_task outcome_entry"),
    _worker("verdict without an outcome", "verdict verification_task", without="outcome_entry"),
    _worker("verification throughput", "verification_throughput"),
    _worker("overdue bursts enqueued", "verification_task", without="verdict"),
    _worker("resettlement", "outcome_entry outbox_event"),
    _worker("counters flushed", "definer.flush_outcome_counts"),
    _worker("assessment with a prompt", called="PromptRaised"),
    _worker("assessment with a warning", called="StudentWarned"),
    _worker("assessment", "student_lock", without="outbox_event"),
    _worker("day assessed", "daily_assessment"),
    _worker("registration verified", "registration notice"),
    _worker("SMS sent", "notice_delivery", without="notice"),
    _worker("audit sealed", "audit_seal"),
    _worker(
        "jobs put into the queue by the clock",
        "procrastinate_defer_jobs_v1",
        without="outbox_delivery outbox_event registration",
    ),
    _worker("job of the clock", "procrastinate_defer_periodic_job_v2"),
    _worker("job taken", "procrastinate_fetch_job_v2"),
    _worker("job finished", "procrastinate_finish_job_v1"),
    _worker("job of a dead worker retried", "procrastinate_retry_job_v2"),
)
COMMITS = (
    *STAFF_COMMITS,
    *STUDENT_COMMITS,
    _api("service heartbeat", "service_heartbeat"),
    _api("SMS report", "definer.record_sms_reports"),
    *WORKER_COMMITS,
)
SHORT_RUN_COMMITS = tuple(
    kind for kind in COMMITS if kind.name in {"launch", "envelopes", "verdict with an outcome", "settlement"}
)
"""The crash points of the short run."""


@dataclass(slots=True)
class CrashPointTrap:
    """Kills the process before the first commit of each kind and after the next one. Deterministic."""

    commits: tuple[CommitKind, ...]
    deployment: Deployment
    nemesis: Nemesis
    triggered_points: set[tuple[str, Moment]] = field(default_factory=set)
    unknown_commits: Counter[str] = field(default_factory=Counter)
    """Commits that match no kind."""

    @property
    def remaining(self) -> list[tuple[str, Moment]]:
        """Crash points at which no process was killed yet."""
        points = [(kind.name, moment) for kind in self.commits for moment in MOMENTS]
        return [point for point in points if point not in self.triggered_points]

    def trigger(self, relay: Relay, moment: Moment, commit: Commit) -> bool:
        """Kill the process behind the relay if this is a remaining crash point. Return whether it was killed."""
        process = self.deployment.process_behind(relay)
        if process is None or process.pid is None or process.killed:
            return False
        if commit.tables <= READ_ONLY_FUNCTIONS or (commit.idle and commit.tables <= QUEUE_FUNCTIONS):
            return False
        made_by = process.name.partition("-")[0]
        kind = next((each for each in self.commits if each.matches(made_by, commit)), None)
        if kind is None:
            consumers = sorted(commit.names & CONSUMERS)
            self.unknown_commits[
                " ".join([made_by, *consumers, *sorted(commit.tables - READ_ONLY_FUNCTIONS)])
            ] += moment == "after"
            return False
        next_moment: Moment = "after" if (kind.name, "before") in self.triggered_points else "before"
        if moment != next_moment or (kind.name, next_moment) in self.triggered_points:
            return False
        self.nemesis.kill_behind(relay)
        self.deployment.note("crash points", "note", "crash point", commit=kind.name, moment=moment)
        self.triggered_points.add((kind.name, moment))
        return True

    def violations(self) -> list[Violation]:
        """Return a violation for each crash point that was not reached."""
        return [Violation("not reached", f"crash point {moment} {name}") for name, moment in self.remaining]

    def lines(self) -> Iterator[str]:
        """Yield the lines of the report."""
        if not self.commits:
            return
        total = len(MOMENTS) * len(self.commits)
        yield f"crash points: {total - len(self.remaining)} of {total}, before and after {len(self.commits)} commits"
        if self.unknown_commits and self.commits is COMMITS:
            yield "other commits, not tested: " + "; ".join(
                f"{name} ({n})" for name, n in sorted(self.unknown_commits.items())
            )
