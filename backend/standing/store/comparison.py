"""Comparing what is stored about a student with a replay of the facts. Pure.

Stored rows are compared with a replay at the instant at which they were stored, not with the present: what has become
due since then is not missing, only not stored yet. A fact that arrived late under an earlier instant, such as a
carrier's receipt, can call for more than was stored; the next assessment will store that, so it is not a difference
either. A difference is a stored row that does not follow from the facts, follows with other content, or is gone.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from backend.standing.engine.assess import Assessment
from backend.standing.engine.batch import digest_of
from backend.standing.engine.facts import Status
from backend.standing.engine.ledger import LedgerEntry
from backend.standing.engine.prompts import Prompt
from backend.standing.engine.trace import decode_canonical, encode_canonical
from backend.standing.store import tables


@dataclass(frozen=True, slots=True)
class Difference:
    """A stored value that does not follow from the facts. `kind` is a key of `DIFFERENCE_KINDS`."""

    kind: str
    id: str
    stored: Any = None
    replayed: Any = None


DIFFERENCE_KINDS: Mapping[str, tuple[str, str]] = {
    "prompt_without_basis": ("提示不能由事实推出", "a stored prompt does not follow from the facts"),
    "prompt_differs": ("提示的内容不同", "a stored prompt has different content"),
    "prompt_missing": ("提示不见了", "a prompt is missing"),
    "step_differs": ("提示的状态不同", "a stored prompt has a different state"),
    "entry_without_basis": ("异动不能由事实推出", "a stored entry does not follow from the facts"),
    "entry_differs": ("异动的内容不同", "a stored entry has different content"),
    "entry_missing": ("异动不见了", "an entry is missing"),
    "entry_before_those_stored": (
        "应排在已存异动之前的异动",
        "an entry belongs before those stored",
    ),
    "entries_in_other_order": ("异动的顺序不同", "the entries are in a different order"),
    "status_differs": (
        "名册上的学籍状态与异动记录不同",
        "the status on the roll is not the status after the last entry",
    ),
    "warning_differs": ("提醒的内容不同", "a stored warning has different content"),
    "warning_missing": ("提醒不见了", "a warning is missing"),
    "release_differs": ("撤回资助的时间不同", "aid was released at a different time"),
    "release_missing": ("撤回资助的记录不见了", "the release of aid is missing"),
    "picture_missing": ("汇总不见了", "the stored assessment is missing"),
    "picture_altered": ("汇总被改动", "the stored assessment does not match its digest"),
    "counts_differ": ("次数不同", "the counts are different"),
}
"""Every kind of difference, in Chinese and English."""


@dataclass(slots=True)
class StoredStanding:
    """All rows that `store.save` wrote about one student, oldest first."""

    standing: tables.StudentStanding | None = None
    prompts: list[tables.PromptRecord] = field(default_factory=list)
    steps: list[tables.PromptStep] = field(default_factory=list)
    entries: list[tables.StandingEntry] = field(default_factory=list)
    warnings: list[tables.StandingWarningRecord] = field(default_factory=list)
    releases: list[tables.AidReleaseRecord] = field(default_factory=list)

    def last_saved_at(self, at: datetime) -> datetime | None:
        """The last instant up to `at` at which any of these rows was written."""
        instants = [step.at for step in self.steps] + [warning.at for warning in self.warnings]
        instants += [entry.recorded_at for entry in self.entries]
        if self.standing is not None:
            instants.append(self.standing.as_of)
        return max((instant for instant in instants if instant <= at), default=None)

    def as_of(self, at: datetime) -> "StoredStanding":
        """The rows written up to the instant. The stored assessment is included only if it is not newer."""
        steps = [row for row in self.steps if row.at <= at]
        raised = {row.prompt_id for row in steps}
        standing = self.standing if self.standing is not None and self.standing.as_of <= at else None
        return StoredStanding(
            standing,
            [row for row in self.prompts if row.id in raised],
            steps,
            [row for row in self.entries if row.recorded_at <= at],
            [row for row in self.warnings if row.at <= at],
            [row for row in self.releases if row.at <= at],
        )

    @property
    def listed_ids(self) -> set[str]:
        """Ids of the prompts and entries in the stored assessment, which were stored in the same transaction."""
        if self.standing is None:
            return set()
        stored = self.standing.assessment
        prompts = {item["prompt_id"] for item in stored["prompts"]}
        return prompts | {item["entry_id"] for item in stored["ledger"]}


@dataclass(frozen=True, slots=True)
class Comparison:
    """The rows up to an instant, the replay at that instant, and all rows that exist now."""

    then: StoredStanding
    replayed: Assessment
    now: StoredStanding

    def find_differences(self, roll: Status | None) -> Iterable[Difference]:
        """Every difference. `roll` is the status on the roll, or None if the question is about the past."""
        yield from self._compare_prompts()
        yield from self._compare_steps()
        yield from self._compare_ledger()
        if roll is not None:
            yield from self._compare_status(roll)
        yield from self._compare_warnings()
        yield from self._compare_releases()
        yield from self._compare_assessment()

    def _compare_prompts(self) -> Iterable[Difference]:
        derived = {prompt.prompt_id: prompt for prompt in self.replayed.prompts}
        for row in self.then.prompts:
            prompt = derived.pop(str(row.id), None)
            if prompt is None:
                yield Difference("prompt_without_basis", str(row.id), row.kind)
            else:
                yield from _compare("prompt_differs", str(row.id), _stored_prompt(row), _prompt(prompt))
        yield from self._find_missing("prompt_missing", derived, {str(row.id) for row in self.now.prompts})

    def _compare_ledger(self) -> Iterable[Difference]:
        derived = {entry.entry_id: entry for entry in self.replayed.ledger}
        for row in self.then.entries:
            entry = derived.pop(str(row.id), None)
            if entry is None:
                yield Difference("entry_without_basis", str(row.id), row.cause)
            else:
                yield from _compare("entry_differs", str(row.id), _stored_entry(row), _entry(entry))
        yield from self._find_missing("entry_missing", derived, {str(row.id) for row in self.now.entries})
        stored_order = [str(row.id) for row in self.then.entries]
        stored = set(stored_order)
        order = [entry.entry_id for entry in self.replayed.ledger if entry.entry_id in stored]
        if len(order) == len(stored_order) and order != stored_order:
            yield Difference("entries_in_other_order", stored_order[0], stored_order, order)

    def _find_missing(
        self, kind: str, derived: Mapping[str, Prompt | LedgerEntry], present: Collection[str]
    ) -> Iterable[Difference]:
        """Rows that the stored assessment lists and that do not exist."""
        listed = self.now.listed_ids
        for key in derived:
            if key in listed and key not in present:
                yield Difference(kind, key)

    def _compare_steps(self) -> Iterable[Difference]:
        """The step in effect of each prompt, unless one of its entries is not stored yet.

        Blockers are not compared: a receipt that a carrier reports late removes one retroactively.
        """
        last = {row.prompt_id: row for row in sorted(self.then.steps, key=lambda row: row.seq)}
        stored = {str(row.id) for row in self.now.entries} | self.now.listed_ids
        pending = {entry.prompt_id for entry in self.replayed.ledger if entry.entry_id not in stored}
        for prompt in self.replayed.prompts:
            row = last.get(UUID(prompt.prompt_id))
            if row is not None and prompt.prompt_id not in pending:
                yield from _compare("step_differs", prompt.prompt_id, _stored_step(row), _step(prompt))

    def _compare_status(self, roll: Status) -> Iterable[Difference]:
        if not self.then.entries:
            return
        last = self.then.entries[-1]
        after = Status(last.standing_after, last.study_form_after)
        yield from _compare(
            "status_differs", str(last.student_id), decode_canonical(roll), decode_canonical(after)
        )

    def _compare_warnings(self) -> Iterable[Difference]:
        rows = {str(row.id): row for row in self.then.warnings}
        listed = self.then.standing.assessment["warnings"] if self.then.standing else []
        given = {item["warning_id"] for item in listed}
        for warning in self.replayed.warnings:
            row = rows.get(warning.warning_id)
            if row is not None:
                stored = [row.code, row.term_code, row.facts, row.proposed]
                derived = [warning.code, warning.term, list(warning.facts), warning.proposed]
                yield from _compare("warning_differs", warning.warning_id, stored, derived)
            elif warning.warning_id in given:
                yield Difference("warning_missing", warning.warning_id)

    def _compare_releases(self) -> Iterable[Difference]:
        rows = {str(row.change_id): row for row in self.then.releases}
        listed = self.then.standing.assessment["aid"] if self.then.standing else []
        released = {item["change_id"] for item in listed if item["at"]}
        for release in self.replayed.aid:
            row = rows.get(release.change_id)
            if row is not None:
                stored, derived = decode_canonical(row.at), decode_canonical(release.at)
                yield from _compare("release_differs", release.change_id, stored, derived)
            elif release.change_id in released:
                yield Difference("release_missing", release.change_id)

    def _compare_assessment(self) -> Iterable[Difference]:
        """The stored assessment matches its digest, and its miss counts are those of the replay."""
        row = self.then.standing
        if row is None:
            if self.now.standing is None:
                yield Difference("picture_missing", self.replayed.student_id)
            return
        if digest_of(row.assessment) != row.digest:
            yield Difference("picture_altered", str(row.student_id))
        derived = {term.term: decode_canonical(term.misses) for term in self.replayed.terms}
        for term in row.assessment["terms"]:
            if term["term"] in derived:
                yield from _compare("counts_differ", term["term"], term["misses"], derived[term["term"]])


def _compare(kind: str, key: str, stored: Any, replayed: Any) -> Iterable[Difference]:
    """A difference unless both are the same bytes. For two objects it contains only the values that differ."""
    if encode_canonical(stored) == encode_canonical(replayed):
        return
    if isinstance(stored, dict) and isinstance(replayed, dict):
        names = [
            name for name in stored if encode_canonical(stored[name]) != encode_canonical(replayed.get(name))
        ]
        stored, replayed = (
            {name: stored[name] for name in names},
            {name: replayed[name] for name in names},
        )
    yield Difference(kind, key, stored, replayed)


# --- comparable values ---


def _without_version(trace: dict[str, Any]) -> dict[str, Any]:
    """A trace without the version of the policy files: the figures themselves are compared."""
    return trace | {"policy_version": ""}


def _stored_prompt(row: tables.PromptRecord) -> dict[str, Any]:
    names = ("kind", "grounds", "evidence", "event_day", "raised_at", "proposed")
    values = {name: decode_canonical(getattr(row, name)) for name in names}
    return values | {"term": row.term_code, "trace": _without_version(row.trace)}


def _prompt(prompt: Prompt) -> dict[str, Any]:
    names = ("kind", "grounds", "evidence", "event_day", "raised_at", "proposed", "term")
    values = {name: decode_canonical(getattr(prompt, name)) for name in names}
    return values | {"trace": _without_version(decode_canonical(prompt.trace))}


def _stored_step(row: tables.PromptStep) -> dict[str, Any]:
    return {
        "state": row.state,
        "delivered_at": decode_canonical(row.delivered_at),
        "due_at": decode_canonical(row.due_at),
        "missing_year": row.missing_year,
        "dismissal": str(row.dismissal) if row.dismissal else None,
        "closed_at": decode_canonical(row.closed_at),
        "closed_by": row.closed_by,
    }


def _step(prompt: Prompt) -> dict[str, Any]:
    deadline = prompt.deadline
    return {
        "state": prompt.state.value,
        "delivered_at": decode_canonical(prompt.delivered_at),
        "due_at": decode_canonical(deadline.at) if deadline else None,
        "missing_year": deadline.missing_year if deadline else None,
        "dismissal": prompt.dismissal,
        "closed_at": decode_canonical(prompt.closed_at),
        "closed_by": prompt.closed_by,
    }


def _stored_entry(row: tables.StandingEntry) -> dict[str, Any]:
    return {
        "at": decode_canonical(row.at),
        "cause": row.cause,
        "caused_by": row.caused_by,
        "outcome": row.outcome,
        "change_kind": row.change_kind,
        "before": decode_canonical(Status(row.standing_before, row.study_form_before)),
        "after": decode_canonical(Status(row.standing_after, row.study_form_after)),
        "prompt_id": str(row.prompt_id) if row.prompt_id else None,
        "reverses": str(row.reverses) if row.reverses else None,
        "trace": _without_version(row.trace),
    }


def _entry(entry: LedgerEntry) -> dict[str, Any]:
    names = ("at", "cause", "caused_by", "outcome", "change_kind", "before", "after", "prompt_id", "reverses")
    values = {name: decode_canonical(getattr(entry, name)) for name in names}
    return values | {"trace": _without_version(decode_canonical(entry.trace))}
