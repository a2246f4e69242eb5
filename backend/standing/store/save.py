"""The one place that writes standing: what the rules say of a student is stored, applied, audited and told.

Nothing is decided here. Ids are derived from content, so keeping a picture twice changes nothing (invariant 8).
"""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit, outbox
from backend.core.bulk_insert import RawJson, insert_rows
from backend.core.database import among
from backend.core.ids import new_id
from backend.core.tenancy import scope_of
from backend.people.tables import Student
from backend.standing.engine.assess import Assessment
from backend.standing.engine.batch import AssessmentRecord
from backend.standing.engine.ledger import Entry
from backend.standing.engine.prompts import Prompt
from backend.standing.engine.trace import canonical, document
from backend.standing.store import tables
from backend.standing.store.lock import (
    LockedStudent,
    differs,
    judgements_of_held,
    load_facts_and_assess,
    lock_and_assess,
    lock_and_assess_many,
    says_nothing,
)


async def recompute(session: AsyncSession, student_id: UUID, at: datetime) -> Assessment:
    """Take the student's turn, judge everything recorded, and keep what follows. Safe to run any number of times."""
    held = await lock_and_assess(session, student_id, at)
    return await save_current(session, held)


async def recompute_many(session: AsyncSession, student_ids: Collection[UUID], at: datetime) -> int:
    """`recompute` for all of them in one transaction, of whom the law now says something else; how many.

    The statements are as many as for one student. Everybody's turn is held until the commit: call it with no more than
    may wait for it.
    """
    held = await lock_and_assess_many(session, student_ids, at)
    judged = await judgements_of_held(session, held)
    stored = await _stored_standings(session, [each.subject.student_id for each in held])
    changed: list[tuple[LockedStudent, AssessmentRecord]] = []
    for each in held:
        said, known = judged[each.subject.student_id], stored.get(each.subject.student_id)
        moved_on = known is not None and known.next_at != next_instant(said.assessment)
        if moved_on or differs(said, known.digest if known else None):
            changed.append((each, said))
    await save_assessments(session, changed, stored.keys())
    return len(changed)


async def save_current(session: AsyncSession, held: LockedStudent) -> Assessment:
    """Judge and keep for a student whose turn is held already."""
    await session.flush()
    _, assessment = await load_facts_and_assess(session, held)
    await save_assessment(session, held, assessment)
    return assessment


async def save_assessment(session: AsyncSession, held: LockedStudent, assessment: Assessment) -> None:
    """Store what is new in the picture. What contradicts the record is noted for a person and writes nothing."""
    stored = await _stored_standings(session, [held.subject.student_id])
    await save_assessments(session, [(held, AssessmentRecord.of(assessment))], stored.keys())


Judged = Sequence[tuple[LockedStudent, AssessmentRecord]]


async def save_assessments(session: AsyncSession, judged: Judged, known: Collection[UUID]) -> None:
    """`save_assessment` for each of the held students, by statements that do not grow in number; of `known` a picture is stored."""
    if not judged:
        return
    ids = [held.subject.student_id for held, _ in judged]
    ledgers = await _stored_ledgers(session, ids)
    steps = await _stored_steps(session, ids)
    sound: list[tuple[LockedStudent, AssessmentRecord]] = []
    for held, said in judged:
        student_id = held.subject.student_id
        raised = {str(prompt_id) for prompt_id in steps[student_id]}
        contradictions = differences(said.assessment, ledgers[student_id], raised)
        if contradictions:
            await note_difference(session, held, contradictions, "assessment")
        else:
            sound.append((held, said))
    events = await _keep_prompts(session, sound, steps)
    for held, said in sound:
        assessment, ledger = said.assessment, ledgers[held.subject.student_id]
        for number, entry in enumerate(assessment.ledger, start=1):
            if entry.entry_id not in ledger:
                await _keep_entry(session, held, number, entry, assessment.policy_version)
        await _keep_status(session, held, assessment)
    await _keep_releases(session, sound)
    events += await _keep_warnings(session, sound)
    await _keep_pictures(session, sound, known)
    await outbox.emit_all(session, events)


def differences(assessment: Assessment, ledger: set[str], prompts: set[str]) -> list[dict[str, Any]]:
    """What is stored and no longer follows from the facts; and an order of the ledger that would be another."""
    derived = [entry.entry_id for entry in assessment.ledger]
    found = [{"kind": "entry_without_basis", "id": entry} for entry in sorted(ledger - set(derived))]
    known = {prompt.prompt_id for prompt in assessment.prompts}
    found += [{"kind": "prompt_without_basis", "id": prompt} for prompt in sorted(prompts - known)]
    if not found and set(derived[: len(ledger)]) != ledger:
        missing = [entry for entry in derived[: len(ledger)] if entry not in ledger]
        found = [{"kind": "entry_before_those_stored", "id": entry} for entry in missing]
    return found


async def note_difference(
    session: AsyncSession, held: LockedStudent, found: Sequence[dict[str, Any]], found_by: str
) -> None:
    """Record that replaying the facts gives something else than what is stored; the same difference once."""
    fingerprint = hashlib.sha256(canonical(list(found)).encode()).digest()
    subject = held.subject
    row = {
        "id": new_id(),
        "school_id": subject.school_id,
        "student_id": subject.student_id,
        "found_by": found_by,
        "digest": fingerprint,
        "differences": list(found),
        "found_at": held.at,
    }
    put = insert(tables.ReplayDifference).values(row).on_conflict_do_nothing()
    noted = await session.scalar(put.returning(tables.ReplayDifference.id))
    if noted is not None:
        _audit(
            session, held, "standing.difference", ("replay_difference", str(noted)), {"found": list(found)}
        )
        await outbox.emit(
            session, "ReplayDifferenceFound", _payload(held) | {"difference_id": str(noted)}, held.at
        )


# --- reading what is stored ---


@dataclass(frozen=True, slots=True)
class _Known:
    """Of a stored picture: what it says, and when time alone changes that."""

    digest: bytes
    next_at: datetime | None


async def _stored_standings(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, _Known]:
    standing = tables.StudentStanding
    rows = await session.execute(
        select(standing.student_id, standing.digest, standing.next_at).where(among(standing.student_id, ids))
    )
    return {row.student_id: _Known(row.digest, row.next_at) for row in rows}


async def _stored_ledgers(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, set[str]]:
    entry = tables.StandingEntry
    ledgers: dict[UUID, set[str]] = defaultdict(set)
    for row in await session.execute(select(entry.student_id, entry.id).where(among(entry.student_id, ids))):
        ledgers[row.student_id].add(str(row.id))
    return ledgers


Steps = Mapping[UUID, Mapping[UUID, tables.PromptStep]]
"""The step in effect of every stored prompt, by student and prompt."""


async def _stored_steps(session: AsyncSession, ids: Collection[UUID]) -> Steps:
    step = tables.PromptStep
    rows = await session.scalars(
        select(step).where(among(step.student_id, ids)).order_by(step.prompt_id, step.seq)
    )
    steps: dict[UUID, dict[UUID, tables.PromptStep]] = defaultdict(dict)
    for row in rows:
        steps[row.student_id][row.prompt_id] = row
    return steps


# --- prompts ---


async def _keep_prompts(session: AsyncSession, judged: Judged, steps: Steps) -> list[outbox.Event]:
    """New prompts, then what happened to any: a prompt's first step needs it on file. What is to be told of them."""
    raised: list[tuple[LockedStudent, Prompt]] = []
    moved: list[tuple[LockedStudent, Prompt, tables.PromptStep | None]] = []
    for held, said in judged:
        known = steps[held.subject.student_id]
        for prompt in said.assessment.prompts:
            last = known.get(UUID(prompt.prompt_id))
            if last is None:
                raised.append((held, prompt))
            if last is None or any(
                getattr(last, name) != value for name, value in _step_values(prompt).items()
            ):
                moved.append((held, prompt, last))
    traces: dict[int, RawJson] = {}
    for _, prompt in raised:
        if id(prompt.trace) not in traces:  # students with the same record share it
            traces[id(prompt.trace)] = RawJson(canonical(prompt.trace))
    new = [_prompt(held, prompt, traces[id(prompt.trace)]) for held, prompt in raised]
    await insert_rows(session, tables.PromptRecord, new)
    steps_on = [_step(session, held, prompt, last) for held, prompt, last in moved]
    await insert_rows(session, tables.PromptStep, steps_on)
    events: list[outbox.Event] = []
    acts: list[tuple[audit.Act, datetime]] = []
    for held, prompt in raised:
        facts = {"kind": prompt.kind.value, "term": prompt.term, "proposed": prompt.proposed}
        subject = ("prompt", prompt.prompt_id)
        acts.append((audit.Act("prompt.raised", *subject, held.subject.path, after=facts), held.at))
        payload = _payload(held) | {"prompt_id": prompt.prompt_id, "kind": prompt.kind.value}
        events.append(outbox.Event("PromptRaised", payload, held.at))
    for held, prompt, last in moved:
        if last is None or last.state == prompt.state:
            continue
        before, after = {"state": last.state}, {"state": prompt.state.value, "closed_by": prompt.closed_by}
        act = audit.Act("prompt.step", "prompt", prompt.prompt_id, held.subject.path, before, after)
        acts.append((act, held.at))
        payload = _payload(held) | {"prompt_id": prompt.prompt_id, "state": prompt.state.value}
        events.append(outbox.Event("PromptMoved", payload, held.at))
    await audit.record_all(session, acts)
    return events


def _prompt(held: LockedStudent, prompt: Prompt, trace: RawJson) -> dict[str, Any]:
    return {
        "id": prompt.prompt_id,
        **_of(held),
        "kind": prompt.kind.value,
        "term_code": prompt.term,
        "grounds": list(prompt.grounds),
        "evidence": list(prompt.evidence),
        "event_day": prompt.event_day,
        "raised_at": prompt.raised_at,
        "proposed": prompt.proposed,
        "policy_version": prompt.trace.policy_version,
        "trace": trace,
    }


def _step(
    session: AsyncSession, held: LockedStudent, prompt: Prompt, last: tables.PromptStep | None
) -> dict[str, Any]:
    return {
        "prompt_id": prompt.prompt_id,
        "seq": 1 if last is None else last.seq + 1,
        **_of(held),
        **_step_values(prompt),
        "acting_account": scope_of(session).account_id,
        "at": held.at,
    }


def _step_values(prompt: Prompt) -> dict[str, Any]:
    deadline = prompt.deadline
    return {
        "state": prompt.state.value,
        "delivered_at": prompt.delivered_at,
        "due_at": deadline.at if deadline else None,
        "missing_year": deadline.missing_year if deadline else None,
        "blockers": list(prompt.blockers),
        "dismissal": UUID(prompt.dismissal) if prompt.dismissal else None,
        "closed_at": prompt.closed_at,
        "closed_by": prompt.closed_by,
    }


# --- the ledger and the status ---


async def _keep_entry(
    session: AsyncSession, held: LockedStudent, seq: int, entry: Entry, policy_version: str
) -> None:
    """Append one entry, with the status before the first of them on file."""
    origin = {"standing": entry.before.standing, "study_form": entry.before.study_form, "at": held.at}
    put = insert(tables.StandingOrigin).values(**_of(held), **origin)
    await session.execute(put.on_conflict_do_nothing())
    session.add(
        tables.StandingEntry(
            id=UUID(entry.entry_id),
            **_of(held),
            seq=seq,
            at=entry.at,
            cause=entry.cause.value,
            caused_by=entry.caused_by,
            outcome=entry.outcome,
            change_kind=entry.change_kind,
            standing_before=entry.before.standing,
            study_form_before=entry.before.study_form,
            standing_after=entry.after.standing,
            study_form_after=entry.after.study_form,
            prompt_id=UUID(entry.prompt_id) if entry.prompt_id else None,
            reverses=UUID(entry.reverses) if entry.reverses else None,
            acting_account=scope_of(session).account_id if entry.cause.value != "expiry" else None,
            policy_version=policy_version,
            trace=document(entry.trace),
            recorded_at=held.at,
        )
    )
    await session.flush()
    before = {"standing": entry.before.standing, "study_form": entry.before.study_form}
    after = {"standing": entry.after.standing, "study_form": entry.after.study_form}
    act = audit.Act(
        f"standing.{entry.cause.value}",
        "standing_entry",
        entry.entry_id,
        held.subject.path,
        before,
        after | {"outcome": entry.outcome, "prompt": entry.prompt_id, "policy": policy_version},
    )
    audit.record(session, act, held.at)
    payload = _payload(held) | {"entry_id": entry.entry_id, "cause": entry.cause.value}
    await outbox.emit(session, "StandingChanged", payload, held.at)


async def _keep_status(session: AsyncSession, held: LockedStudent, assessment: Assessment) -> None:
    """The roll shows what the ledger makes; nothing else in the house writes these two columns."""
    if not assessment.ledger:
        return
    status = assessment.status
    differs = or_(Student.standing != status.standing, Student.study_form != status.study_form)
    await session.execute(
        update(Student)
        .where(Student.id == held.subject.student_id, differs)
        .values(standing=status.standing, study_form=status.study_form, updated_at=held.at)
    )


# --- what follows ---


async def _keep_releases(session: AsyncSession, judged: Judged) -> None:
    released = {
        UUID(release.change_id): (held, release.at)
        for held, said in judged
        for release in said.assessment.aid
        if release.at is not None
    }
    if not released:
        return
    rows = [{"change_id": key, **_of(held), "at": at} for key, (held, at) in released.items()]
    put = insert(tables.AidReleaseRecord).values(rows).on_conflict_do_nothing()
    for change_id in await session.scalars(put.returning(tables.AidReleaseRecord.change_id)):
        held, _ = released[change_id]
        await outbox.emit(session, "AidReleased", _payload(held) | {"change_id": str(change_id)}, held.at)


async def _keep_warnings(session: AsyncSession, judged: Judged) -> list[outbox.Event]:
    """What nobody was warned of yet, and is to be told."""
    warned = {
        UUID(warning.warning_id): (held, warning)
        for held, said in judged
        for warning in said.assessment.warnings
    }
    rows = [
        {
            "id": warning_id,
            **_of(held),
            "code": warning.code,
            "term_code": warning.term,
            "facts": list(warning.facts),
            "proposed": warning.proposed,
            "at": held.at,
        }
        for warning_id, (held, warning) in warned.items()
    ]
    new = await insert_rows(
        session, tables.StandingWarningRecord, rows, then="ON CONFLICT DO NOTHING", returning=("id",)
    )
    return [
        outbox.Event("StudentWarned", _payload(held) | {"warning_id": str(warning_id)}, held.at)
        for warning_id, held in ((each, warned[each][0]) for (each,) in new)
    ]


_LATEST = "ON CONFLICT (student_id) DO UPDATE SET " + ", ".join(
    f"{name} = excluded.{name}"
    for name in ("as_of", "policy_version", "digest", "locked_by", "assessment", "next_at")
)


async def _keep_pictures(session: AsyncSession, judged: Judged, known: Collection[UUID]) -> None:
    """The read model; a student of whom nothing was ever said has none."""
    rows = [
        {
            **_of(held),
            "as_of": held.at,
            "policy_version": said.assessment.policy_version,
            "digest": said.digest,
            "locked_by": UUID(said.assessment.lock.locked_by) if said.assessment.lock.locked_by else None,
            "assessment": RawJson(said.written),
            "next_at": next_instant(said.assessment),
        }
        for held, said in judged
        if held.subject.student_id in known or not says_nothing(said.assessment)
    ]
    await insert_rows(session, tables.StudentStanding, rows, then=_LATEST)


def next_instant(assessment: Assessment) -> datetime | None:
    """The next instant at which time alone changes the picture: a deadline, or the limit of an absence."""
    coming = [prompt.deadline.at for prompt in assessment.open_prompts if prompt.deadline]
    if assessment.absence is not None:
        coming.append(assessment.absence.prompt_at)
    return min((at for at in coming if at is not None and at > assessment.as_of), default=None)


# --- words for rows ---


def _of(held: LockedStudent) -> dict[str, UUID]:
    return {"school_id": held.subject.school_id, "student_id": held.subject.student_id}


def _payload(held: LockedStudent) -> dict[str, str]:
    return {name: str(value) for name, value in _of(held).items()} | {"path": held.subject.path}


def _audit(
    session: AsyncSession, held: LockedStudent, action: str, subject: tuple[str, str], after: dict[str, Any]
) -> None:
    act = audit.Act(action, *subject, held.subject.path, after=after)
    audit.record(session, act, held.at)
