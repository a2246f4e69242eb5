"""The plan of a run and its result."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.faults.checker import Violation


@dataclass(frozen=True, slots=True)
class Plan:
    """Length and intensity of a run. The clients start `tail` real seconds before the close; the clock is moved to the
    close as soon as most of them are done.
    """

    seed: int
    kills: int
    seconds: float
    clients: int = 16
    tail: float = 75.0
    rush: float = 8.0
    """Seconds within which all clients start."""
    pause: float = 1.5
    """Mean seconds between two faults."""
    drain_seconds: float = 90.0
    """Seconds without progress after which unfinished work is a violation."""
    long_stops: bool = True
    small: bool = False
    """A short run: one roll call over one school, one worker, few crash points."""


def short_plan(seed: int) -> Plan:
    """Return the plan of the short run, which `make test` includes."""
    return Plan(seed, 0, 0.0, tail=60.0, rush=1.5, pause=3.0, long_stops=False, small=True)


@dataclass(slots=True)
class Verdict:
    """The result of a run."""

    plan: Plan
    violations: list[Violation]
    answers: Counter[str]
    faults: Counter[str]
    kills: int
    commits_hit_by_chance: int
    """Number of different commits exactly before or after which the nemesis killed a process."""
    unexpected_exits: Counter[str]
    roll_calls: int
    outcomes: Counter[str]
    seconds: float
    uses_nginx: bool
    crash_point_lines: list[str] = field(default_factory=list)
    """Report lines about the crash points."""
    client_histories: dict[str, list[str]] = field(default_factory=dict)

    def lines(self) -> Iterable[str]:
        """Yield the lines of the report. The last one summarises the violations."""
        yield f"seed {self.plan.seed}: {self.roll_calls} roll calls, {self.kills} kills in {self.seconds:.0f} s"
        if not self.uses_nginx:
            yield "nginx is not installed: the clients reached one API process only through the relay"
        yield "faults: " + ", ".join(f"{name} {n}" for name, n in sorted(self.faults.items()))
        yield "answers: " + ", ".join(f"{name} {n}" for name, n in sorted(self.answers.items()))
        yield "outcomes: " + ", ".join(f"{name} {n}" for name, n in sorted(self.outcomes.items()))
        if self.commits_hit_by_chance:
            yield f"killed exactly before or after {self.commits_hit_by_chance} kinds of commits, by chance"
        yield from self.crash_point_lines
        if self.unexpected_exits:
            yield f"unexpected exits: {dict(self.unexpected_exits)}"
        for violation in self.violations:
            yield f"VIOLATION {violation.kind}: {violation.text} {violation.who}"
        for who, lines in self.client_histories.items():
            yield f"the lines of {who}:"
            yield from (f"  {line}" for line in lines)
        yield count_violations(self.violations)


def count_violations(violations: Iterable[Violation]) -> str:
    """Return the number of violations per kind as text."""
    found = Counter(each.kind for each in violations)
    said = [f"{found.pop(kind, 0)} {kind}" for kind in ("lost", "falsely missed", "doubled")]
    return ", ".join([*said, *(f"{n} {kind}" for kind, n in sorted(found.items()))])


def summarise_runs(verdicts: Iterable[Verdict]) -> Iterable[str]:
    """Yield the summary of several runs."""
    all_of = list(verdicts)
    kills, minutes = sum(each.kills for each in all_of), sum(each.seconds for each in all_of) / 60
    yield f"all {len(all_of)} runs: {kills} kills in {minutes:.0f} min"
    yield count_violations(violation for each in all_of for violation in each.violations)
