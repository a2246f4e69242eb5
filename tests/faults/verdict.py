"""How long and how rough a run is, and what came of it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.faults.checker import Violation


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how rough. The clients begin `tail` real seconds before the close, and the clock is moved on to the
    close as soon as most of them are done.
    """

    seed: int
    kills: int
    seconds: float
    clients: int = 16
    tail: float = 75.0
    rush: float = 8.0
    """Seconds within which they all begin."""
    pause: float = 1.5
    """Mean seconds between two faults."""
    drain_seconds: float = 90.0
    """How long the queues may stand still before that is a finding."""
    long_stops: bool = True
    small: bool = False
    """One roll call over one school, with one worker and the few crash points of the short form."""


def short(seed: int) -> Plan:
    """What `make test` has time for."""
    return Plan(seed, 0, 0.0, tail=60.0, rush=1.5, pause=3.0, long_stops=False, small=True)


@dataclass(slots=True)
class Verdict:
    """What came of a run."""

    plan: Plan
    violations: list[Violation]
    answers: Counter[str]
    faults: Counter[str]
    kills: int
    crashed_by_chance: int
    """Kinds of commits exactly before or after which the nemesis killed."""
    own_ends: Counter[str]
    roll_calls: int
    outcomes: Counter[str]
    seconds: float
    behind_nginx: bool
    walked: list[str] = field(default_factory=list)
    """Crash points, where they were walked through one by one."""
    stories: dict[str, list[str]] = field(default_factory=dict)

    def lines(self) -> Iterable[str]:
        """The report, ending with the sentence that counts."""
        yield f"seed {self.plan.seed}: {self.roll_calls} roll calls, {self.kills} kills in {self.seconds:.0f} s"
        if not self.behind_nginx:
            yield "nginx is not installed: the clients reached one API process through our own relay alone"
        yield "faults: " + ", ".join(f"{name} {n}" for name, n in sorted(self.faults.items()))
        yield "answers: " + ", ".join(f"{name} {n}" for name, n in sorted(self.answers.items()))
        yield "outcomes: " + ", ".join(f"{name} {n}" for name, n in sorted(self.outcomes.items()))
        if self.crashed_by_chance:
            yield f"killed exactly before or after {self.crashed_by_chance} kinds of commits, by chance"
        yield from self.walked
        if self.own_ends:
            yield f"ended by themselves: {dict(self.own_ends)}"
        for violation in self.violations:
            yield f"VIOLATION {violation.kind}: {violation.text} {violation.who}"
        for who, story in self.stories.items():
            yield f"the story of {who}:"
            yield from (f"  {line}" for line in story)
        yield counted(self.violations)


def counted(violations: Iterable[Violation]) -> str:
    """The sentence that counts."""
    found = Counter(each.kind for each in violations)
    said = [f"{found.pop(kind, 0)} {kind}" for kind in ("lost", "falsely missed", "doubled")]
    return ", ".join([*said, *(f"{n} {kind}" for kind, n in sorted(found.items()))])


def together(verdicts: Iterable[Verdict]) -> Iterable[str]:
    """What several runs came to."""
    all_of = list(verdicts)
    kills, minutes = sum(each.kills for each in all_of), sum(each.seconds for each in all_of) / 60
    yield f"all {len(all_of)} runs: {kills} kills in {minutes:.0f} min"
    yield counted(violation for each in all_of for violation in each.violations)
