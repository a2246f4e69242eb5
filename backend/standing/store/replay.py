"""Replaying the facts and comparing with what is stored (invariants 6 and 8, reading 13). Writes nothing.

What is stored is held against a replay at the instant at which it was kept, not at the present: what has become due
since is not missing, it is yet to come. A fact that arrived late under an earlier instant, such as a carrier's receipt,
may call for more than was stored; that is for the next assessment to keep and no difference. What is stored and
does not follow, follows with other content, or is gone, is.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.org.calendars import working_calendar
from backend.standing.engine.assess import Assessment, assess
from backend.standing.engine.batch import digest_of
from backend.standing.engine.facts import Status
from backend.standing.engine.ledger import Entry
from backend.standing.engine.prompts import Prompt
from backend.standing.engine.trace import canonical, document
from backend.standing.store import tables
from backend.standing.store.load import StudentRef, load_facts
from backend.standing.store.lock import policy_history


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is stored and does not follow from the facts. `kind` is a code of `KINDS`."""

    kind: str
    id: str
    stored: Any = None
    replayed: Any = None


KINDS: Mapping[str, tuple[str, str]] = {
    "prompt_without_basis": ("提示不能由事实推出", "a stored prompt does not follow from the facts"),
    "prompt_differs": ("提示的内容不同", "a stored prompt has other content"),
    "prompt_missing": ("提示不见了", "a prompt is gone"),
    "step_differs": ("提示的状态不同", "a prompt stands otherwise than stored"),
    "entry_without_basis": ("变动不能由事实推出", "a stored entry does not follow from the facts"),
    "entry_differs": ("变动的内容不同", "a stored entry has other content"),
    "entry_missing": ("变动不见了", "an entry is gone"),
    "entries_in_other_order": ("变动的顺序不同", "the entries stand in another order"),
    "status_differs": (
        "名册上的学籍状态与变动记录不同",
        "the roll shows another status than the ledger makes",
    ),
    "warning_differs": ("提醒的内容不同", "a stored warning has other content"),
    "warning_missing": ("提醒不见了", "a warning is gone"),
    "release_differs": ("撤回资助的时间不同", "aid was released at another time"),
    "release_missing": ("撤回资助的记录不见了", "the release of aid is gone"),
    "picture_missing": ("汇总不见了", "the picture is gone"),
    "picture_altered": ("汇总被改动", "the picture is not the one its digest was made of"),
    "counts_differ": ("次数不同", "the counts are others"),
}
"""Every kind of difference in words."""


@dataclass(slots=True)
class Stored:
    """Everything that `keeping` wrote of one student, oldest first."""

    standing: tables.StudentStanding | None = None
    prompts: list[tables.PromptRecord] = field(default_factory=list)
    steps: list[tables.PromptStep] = field(default_factory=list)
    entries: list[tables.StandingEntry] = field(default_factory=list)
    warnings: list[tables.StandingWarningRecord] = field(default_factory=list)
    releases: list[tables.AidReleaseRecord] = field(default_factory=list)

    def kept_by(self, at: datetime) -> datetime | None:
        """The last instant up to `at` at which something was kept, as far as it left a trace."""
        marks = [step.at for step in self.steps] + [warning.at for warning in self.warnings]
        marks += [entry.recorded_at for entry in self.entries]
        if self.standing is not None:
            marks.append(self.standing.as_of)
        return max((mark for mark in marks if mark <= at), default=None)

    def by(self, at: datetime) -> "Stored":
        """What of it was stored by the instant; the newest picture only if it is not of later."""
        steps = [row for row in self.steps if row.at <= at]
        raised = {row.prompt_id for row in steps}
        known = self.standing if self.standing is not None and self.standing.as_of <= at else None
        return Stored(
            known,
            [row for row in self.prompts if row.id in raised],
            steps,
            [row for row in self.entries if row.recorded_at <= at],
            [row for row in self.warnings if row.at <= at],
            [row for row in self.releases if row.at <= at],
        )

    @property
    def is_empty(self) -> bool:
        rows = (self.prompts, self.steps, self.entries, self.warnings, self.releases)
        return self.standing is None and not any(rows)


@dataclass(frozen=True, slots=True)
class Replay:
    """The picture at the instant asked for, and what of the record of then does not follow from the facts.

    `pending` are ids of prompts and entries that the facts call for and that nobody has kept yet: no difference.
    `other_versions`: policy versions under which something was stored that is not the present one; figures in force
    are never altered, so their content is compared all the same.
    """

    student_id: UUID
    assessment: Assessment
    compared_at: datetime | None
    differences: tuple[Difference, ...]
    pending: tuple[str, ...]
    other_versions: tuple[str, ...]


async def replays(session: AsyncSession, asked: Collection[StudentRef], at: datetime) -> list[Replay]:
    """Each student's facts replayed at the instant; a few statements for any number. Raises `AbsentLaw`."""
    calendar = await working_calendar(session)
    facts = await load_facts(session, asked)
    stored = await stored_of(session, [subject.student_id for subject in asked])
    found = []
    for subject in asked:
        known, book = facts[subject.student_id], policy_history(subject.path)

        def judge(instant: datetime, known: Any = known, book: Any = book) -> Assessment:
            return assess(known, book, calendar, instant)

        found.append(replay(subject, stored[subject.student_id], judge, at))
    return found


def replay(
    subject: StudentRef, stored: Stored, judge: Callable[[datetime], Assessment], at: datetime
) -> Replay:
    """Compare what was kept by the instant with what the facts say of that same instant."""
    assessment, kept_at = judge(at), stored.kept_by(at)
    if kept_at is None:
        return Replay(subject.student_id, assessment, None, (), _pending(assessment, stored), ())
    then = stored.by(kept_at)
    newest = stored.standing is None or stored.standing.as_of <= at
    comparison = Comparison(then, judge(kept_at), stored)
    differences = tuple(comparison.differences(subject.status if newest else None))
    versions = {row.policy_version for row in then.prompts} | {row.policy_version for row in then.entries}
    return Replay(
        subject.student_id,
        assessment,
        kept_at,
        differences,
        _pending(assessment, stored),
        tuple(sorted(versions - {assessment.policy_version})),
    )


def _pending(assessment: Assessment, stored: Stored) -> tuple[str, ...]:
    """What the facts call for and no picture has said yet."""
    known = {str(row.id) for row in stored.prompts} | {str(row.id) for row in stored.entries} | listed(stored)
    derived = [prompt.prompt_id for prompt in assessment.prompts]
    derived += [entry.entry_id for entry in assessment.ledger]
    return tuple(key for key in derived if key not in known)


def listed(stored: Stored) -> set[str]:
    """Ids of the prompts and entries in the newest picture: whatever is in it was stored beside it."""
    if stored.standing is None:
        return set()
    shown = stored.standing.assessment
    return {item["prompt_id"] for item in shown["prompts"]} | {item["entry_id"] for item in shown["ledger"]}


# --- comparing, pure ---


@dataclass(frozen=True, slots=True)
class Comparison:
    """Rows kept by an instant, the replay at that instant, and all rows there are now."""

    then: Stored
    replayed: Assessment
    now: Stored

    def differences(self, roll: Status | None) -> Iterable[Difference]:
        """Every difference. `roll` is the status on the roll, None where the question is about the past."""
        yield from self._prompts()
        yield from self._steps()
        yield from self._ledger()
        if roll is not None:
            yield from self._status(roll)
        yield from self._warnings()
        yield from self._releases()
        yield from self._picture()

    def _prompts(self) -> Iterable[Difference]:
        derived = {prompt.prompt_id: prompt for prompt in self.replayed.prompts}
        for row in self.then.prompts:
            prompt = derived.pop(str(row.id), None)
            if prompt is None:
                yield Difference("prompt_without_basis", str(row.id), row.kind)
            else:
                yield from _unlike("prompt_differs", str(row.id), _prompt_row(row), _prompt(prompt))
        yield from self._gone("prompt_missing", derived, {str(row.id) for row in self.now.prompts})

    def _ledger(self) -> Iterable[Difference]:
        derived = {entry.entry_id: entry for entry in self.replayed.ledger}
        for row in self.then.entries:
            entry = derived.pop(str(row.id), None)
            if entry is None:
                yield Difference("entry_without_basis", str(row.id), row.cause)
            else:
                yield from _unlike("entry_differs", str(row.id), _entry_row(row), _entry(entry))
        yield from self._gone("entry_missing", derived, {str(row.id) for row in self.now.entries})
        rows = [str(row.id) for row in self.then.entries]
        known = set(rows)
        order = [entry.entry_id for entry in self.replayed.ledger if entry.entry_id in known]
        if len(order) == len(rows) and order != rows:
            yield Difference("entries_in_other_order", rows[0], rows, order)

    def _gone(
        self, kind: str, derived: Mapping[str, Prompt | Entry], present: Collection[str]
    ) -> Iterable[Difference]:
        """What a picture says was stored, and is not there."""
        shown = listed(self.now)
        for key in derived:
            if key in shown and key not in present:
                yield Difference(kind, key)

    def _steps(self) -> Iterable[Difference]:
        """The step in effect of each prompt, unless an entry of it is yet to be kept.

        Blockers are left out: a receipt that a carrier reports late takes one away after the fact.
        """
        last = {row.prompt_id: row for row in sorted(self.then.steps, key=lambda row: row.seq)}
        kept = {str(row.id) for row in self.now.entries} | listed(self.now)
        due = {entry.prompt_id for entry in self.replayed.ledger if entry.entry_id not in kept}
        for prompt in self.replayed.prompts:
            row = last.get(UUID(prompt.prompt_id))
            if row is not None and prompt.prompt_id not in due:
                yield from _unlike("step_differs", prompt.prompt_id, _step_row(row), _step(prompt))

    def _status(self, roll: Status) -> Iterable[Difference]:
        if not self.then.entries:
            return
        last = self.then.entries[-1]
        made = Status(last.standing_after, last.study_form_after)
        yield from _unlike("status_differs", str(last.student_id), document(roll), document(made))

    def _warnings(self) -> Iterable[Difference]:
        rows = {str(row.id): row for row in self.then.warnings}
        shown = self.then.standing.assessment["warnings"] if self.then.standing else []
        given = {item["warning_id"] for item in shown}
        for warning in self.replayed.warnings:
            row = rows.get(warning.warning_id)
            if row is not None:
                stored = [row.code, row.term_code, row.facts, row.proposed]
                derived = [warning.code, warning.term, list(warning.facts), warning.proposed]
                yield from _unlike("warning_differs", warning.warning_id, stored, derived)
            elif warning.warning_id in given:
                yield Difference("warning_missing", warning.warning_id)

    def _releases(self) -> Iterable[Difference]:
        rows = {str(row.change_id): row for row in self.then.releases}
        shown = self.then.standing.assessment["aid"] if self.then.standing else []
        released = {item["change_id"] for item in shown if item["at"]}
        for release in self.replayed.aid:
            row = rows.get(release.change_id)
            if row is not None:
                stored, derived = document(row.at), document(release.at)
                yield from _unlike("release_differs", release.change_id, stored, derived)
            elif release.change_id in released:
                yield Difference("release_missing", release.change_id)

    def _picture(self) -> Iterable[Difference]:
        """The read model: whole, and with the counts that the facts give."""
        row = self.then.standing
        if row is None:
            if self.now.standing is None:
                yield Difference("picture_missing", self.replayed.student_id)
            return
        if digest_of(row.assessment) != row.digest:
            yield Difference("picture_altered", str(row.student_id))
        derived = {term.term: document(term.misses) for term in self.replayed.terms}
        for term in row.assessment["terms"]:
            if term["term"] in derived:
                yield from _unlike("counts_differ", term["term"], term["misses"], derived[term["term"]])


def _unlike(kind: str, key: str, stored: Any, replayed: Any) -> Iterable[Difference]:
    """A difference unless both are the same bytes; only the parts that differ are told."""
    if canonical(stored) == canonical(replayed):
        return
    if isinstance(stored, dict) and isinstance(replayed, dict):
        parts = [name for name in stored if canonical(stored[name]) != canonical(replayed.get(name))]
        yield Difference(
            kind, key, {name: stored[name] for name in parts}, {name: replayed[name] for name in parts}
        )
    else:
        yield Difference(kind, key, stored, replayed)


def _comparable(trace: dict[str, Any]) -> dict[str, Any]:
    """A trace apart from the version of the files that its figures were read from: the figures say what they were."""
    return trace | {"policy_version": ""}


def _prompt_row(row: tables.PromptRecord) -> dict[str, Any]:
    names = ("kind", "grounds", "evidence", "event_day", "raised_at", "proposed")
    told = {name: document(getattr(row, name)) for name in names}
    return told | {"term": row.term_code, "trace": _comparable(row.trace)}


def _prompt(prompt: Prompt) -> dict[str, Any]:
    names = ("kind", "grounds", "evidence", "event_day", "raised_at", "proposed", "term")
    told = {name: document(getattr(prompt, name)) for name in names}
    return told | {"trace": _comparable(document(prompt.trace))}


def _step_row(row: tables.PromptStep) -> dict[str, Any]:
    return {
        "state": row.state,
        "delivered_at": document(row.delivered_at),
        "due_at": document(row.due_at),
        "missing_year": row.missing_year,
        "dismissal": str(row.dismissal) if row.dismissal else None,
        "closed_at": document(row.closed_at),
        "closed_by": row.closed_by,
    }


def _step(prompt: Prompt) -> dict[str, Any]:
    due = prompt.deadline
    return {
        "state": prompt.state.value,
        "delivered_at": document(prompt.delivered_at),
        "due_at": document(due.at) if due else None,
        "missing_year": due.missing_year if due else None,
        "dismissal": prompt.dismissal,
        "closed_at": document(prompt.closed_at),
        "closed_by": prompt.closed_by,
    }


def _entry_row(row: tables.StandingEntry) -> dict[str, Any]:
    return {
        "at": document(row.at),
        "cause": row.cause,
        "caused_by": row.caused_by,
        "outcome": row.outcome,
        "change_kind": row.change_kind,
        "before": document(Status(row.standing_before, row.study_form_before)),
        "after": document(Status(row.standing_after, row.study_form_after)),
        "prompt_id": str(row.prompt_id) if row.prompt_id else None,
        "reverses": str(row.reverses) if row.reverses else None,
        "trace": _comparable(row.trace),
    }


def _entry(entry: Entry) -> dict[str, Any]:
    names = ("at", "cause", "caused_by", "outcome", "change_kind", "before", "after", "prompt_id", "reverses")
    told = {name: document(getattr(entry, name)) for name in names}
    return told | {"trace": _comparable(document(entry.trace))}


# --- reading ---

ORDER: Mapping[str, tuple[Any, str]] = {
    "prompts": (tables.PromptRecord, "raised_at"),
    "steps": (tables.PromptStep, "seq"),
    "entries": (tables.StandingEntry, "seq"),
    "warnings": (tables.StandingWarningRecord, "at"),
    "releases": (tables.AidReleaseRecord, "at"),
}


async def stored_of(session: AsyncSession, student_ids: Collection[UUID]) -> dict[UUID, Stored]:
    """What is stored of each student, in one statement a table."""
    found: dict[UUID, Stored] = defaultdict(Stored)
    for name, (table, order) in ORDER.items():
        rows = await session.scalars(
            select(table).where(table.student_id.in_(student_ids)).order_by(getattr(table, order))
        )
        for row in rows:
            getattr(found[row.student_id], name).append(row)
    standing = tables.StudentStanding
    for assessment in await session.scalars(select(standing).where(standing.student_id.in_(student_ids))):
        found[assessment.student_id].standing = assessment
    return found
