"""The one place that writes standing: what the rules say of a student is stored, applied, audited and told.

Nothing is decided here. Ids are derived from content, so keeping a picture twice changes nothing (invariant 8).
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit, outbox
from backend.core.ids import new_id
from backend.core.tenancy import scope_of
from backend.people.tables import Student
from backend.standing import tables
from backend.standing.assessment import Held, digest, facts_and_picture, hold, says_nothing
from backend.standing.ledger import Entry
from backend.standing.prompts import Prompt
from backend.standing.rules import Picture
from backend.standing.trace import canonical, document


async def reassess(session: AsyncSession, student_id: UUID, at: datetime) -> Picture:
    """Take the student's turn, judge everything recorded, and keep what follows. Safe to run any number of times."""
    held = await hold(session, student_id, at)
    return await keep_current(session, held)


async def keep_current(session: AsyncSession, held: Held) -> Picture:
    """Judge and keep for a student whose turn is held already."""
    await session.flush()
    _, picture = await facts_and_picture(session, held)
    await keep(session, held, picture)
    return picture


async def keep(session: AsyncSession, held: Held, picture: Picture) -> None:
    """Store what is new in the picture. What contradicts the record is noted for a person and writes nothing."""
    ledger = await _stored_ledger(session, held)
    steps = await _stored_steps(session, held)
    contradictions = differences(picture, set(ledger), {str(prompt_id) for prompt_id in steps})
    if contradictions:
        await note_difference(session, held, contradictions, "assessment")
        return
    for prompt in picture.prompts:
        await _keep_prompt(session, held, prompt, steps.get(UUID(prompt.prompt_id)))
    for number, entry in enumerate(picture.ledger, start=1):
        if entry.entry_id not in ledger:
            await _keep_entry(session, held, number, entry, picture.policy_version)
    await _keep_status(session, held, picture)
    await _keep_releases(session, held, picture)
    await _keep_warnings(session, held, picture)
    await _keep_picture(session, held, picture)


def differences(picture: Picture, ledger: set[str], prompts: set[str]) -> list[dict[str, Any]]:
    """What is stored and no longer follows from the facts; and an order of the ledger that would be another."""
    derived = [entry.entry_id for entry in picture.ledger]
    found = [{"kind": "entry_without_basis", "id": entry} for entry in sorted(ledger - set(derived))]
    known = {prompt.prompt_id for prompt in picture.prompts}
    found += [{"kind": "prompt_without_basis", "id": prompt} for prompt in sorted(prompts - known)]
    if not found and set(derived[: len(ledger)]) != ledger:
        missing = [entry for entry in derived[: len(ledger)] if entry not in ledger]
        found = [{"kind": "entry_before_those_stored", "id": entry} for entry in missing]
    return found


async def note_difference(
    session: AsyncSession, held: Held, found: Sequence[dict[str, Any]], found_by: str
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
        await outbox.emit(session, "RecordDiffers", _payload(held) | {"difference_id": str(noted)}, held.at)


# --- reading what is stored ---


async def _stored_ledger(session: AsyncSession, held: Held) -> set[str]:
    entry = tables.StandingEntry
    rows = await session.scalars(select(entry.id).where(entry.student_id == held.subject.student_id))
    return {str(entry_id) for entry_id in rows}


async def _stored_steps(session: AsyncSession, held: Held) -> dict[UUID, tables.PromptStep]:
    """The step in effect of every stored prompt."""
    step = tables.PromptStep
    rows = await session.scalars(
        select(step).where(step.student_id == held.subject.student_id).order_by(step.prompt_id, step.seq)
    )
    return {row.prompt_id: row for row in rows}


# --- prompts ---


async def _keep_prompt(
    session: AsyncSession, held: Held, prompt: Prompt, last: tables.PromptStep | None
) -> None:
    if last is None:
        session.add(
            tables.StoredPrompt(
                id=UUID(prompt.prompt_id),
                **_of(held),
                kind=prompt.kind.value,
                term_code=prompt.term,
                grounds=list(prompt.grounds),
                evidence=list(prompt.evidence),
                event_day=prompt.event_day,
                raised_at=prompt.raised_at,
                proposed=prompt.proposed,
                policy_version=prompt.trace.policy_version,
                trace=document(prompt.trace),
            )
        )
        await session.flush()
        facts = {"kind": prompt.kind.value, "term": prompt.term, "proposed": prompt.proposed}
        _audit(session, held, "prompt.raised", ("prompt", prompt.prompt_id), facts)
        payload = _payload(held) | {"prompt_id": prompt.prompt_id, "kind": prompt.kind.value}
        await outbox.emit(session, "PromptRaised", payload, held.at)
    values = _step_values(prompt)
    if last is not None and all(getattr(last, name) == value for name, value in values.items()):
        return
    session.add(
        tables.PromptStep(
            prompt_id=UUID(prompt.prompt_id),
            seq=1 if last is None else last.seq + 1,
            **_of(held),
            **values,
            acting_account=scope_of(session).account_id,
            at=held.at,
        )
    )
    await session.flush()
    if last is None or last.state == prompt.state:
        return
    before, after = {"state": last.state}, {"state": prompt.state.value, "closed_by": prompt.closed_by}
    act = audit.Act("prompt.step", "prompt", prompt.prompt_id, held.subject.path, before, after)
    audit.record(session, act, held.at)
    payload = _payload(held) | {"prompt_id": prompt.prompt_id, "state": prompt.state.value}
    await outbox.emit(session, "PromptMoved", payload, held.at)


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


async def _keep_entry(session: AsyncSession, held: Held, seq: int, entry: Entry, policy_version: str) -> None:
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


async def _keep_status(session: AsyncSession, held: Held, picture: Picture) -> None:
    """The roll shows what the ledger makes; nothing else in the house writes these two columns."""
    if not picture.ledger:
        return
    status = picture.status
    differs = or_(Student.standing != status.standing, Student.study_form != status.study_form)
    await session.execute(
        update(Student)
        .where(Student.id == held.subject.student_id, differs)
        .values(standing=status.standing, study_form=status.study_form, updated_at=held.at)
    )


# --- what follows ---


async def _keep_releases(session: AsyncSession, held: Held, picture: Picture) -> None:
    for release in picture.aid:
        if release.at is None:
            continue
        row = {"change_id": UUID(release.change_id), **_of(held), "at": release.at}
        put = insert(tables.AidReleased).values(row).on_conflict_do_nothing()
        if await session.scalar(put.returning(tables.AidReleased.change_id)) is not None:
            payload = _payload(held) | {"change_id": release.change_id}
            await outbox.emit(session, "AidReleased", payload, held.at)


async def _keep_warnings(session: AsyncSession, held: Held, picture: Picture) -> None:
    for warning in picture.warnings:
        row = {
            "id": UUID(warning.warning_id),
            **_of(held),
            "code": warning.code,
            "term_code": warning.term,
            "facts": list(warning.facts),
            "proposed": warning.proposed,
            "at": held.at,
        }
        put = insert(tables.StandingWarning).values(row).on_conflict_do_nothing()
        if await session.scalar(put.returning(tables.StandingWarning.id)) is not None:
            payload = _payload(held) | {"warning_id": warning.warning_id}
            await outbox.emit(session, "StudentWarned", payload, held.at)


async def _keep_picture(session: AsyncSession, held: Held, picture: Picture) -> None:
    """The read model; a student of whom nothing was ever said has none."""
    row = {
        **_of(held),
        "as_of": held.at,
        "policy_version": picture.policy_version,
        "digest": digest(picture),
        "locked_by": UUID(picture.lock.locked_by) if picture.lock.locked_by else None,
        "picture": document(picture),
        "next_at": next_instant(picture),
    }
    known = await session.scalar(
        select(func.count()).where(tables.StudentStanding.student_id == held.subject.student_id)
    )
    if not known and says_nothing(picture):
        return
    put = insert(tables.StudentStanding).values(row)
    new = {name: value for name, value in row.items() if name not in {"student_id", "school_id"}}
    await session.execute(put.on_conflict_do_update(index_elements=["student_id"], set_=new))


def next_instant(picture: Picture) -> datetime | None:
    """The next instant at which time alone changes the picture: a deadline, or the limit of an absence."""
    coming = [prompt.deadline.at for prompt in picture.open_prompts if prompt.deadline]
    if picture.absence is not None:
        coming.append(picture.absence.prompt_at)
    return min((at for at in coming if at is not None and at > picture.as_of), default=None)


# --- words for rows ---


def _of(held: Held) -> dict[str, UUID]:
    return {"school_id": held.subject.school_id, "student_id": held.subject.student_id}


def _payload(held: Held) -> dict[str, str]:
    return {name: str(value) for name, value in _of(held).items()} | {"path": held.subject.path}


def _audit(
    session: AsyncSession, held: Held, action: str, subject: tuple[str, str], after: dict[str, Any]
) -> None:
    act = audit.Act(action, *subject, held.subject.path, after=after)
    audit.record(session, act, held.at)
