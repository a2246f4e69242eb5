"""Saving prompts and their steps, with their audit entries and events."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit
from backend.core.bulk_insert import RawJson, insert_rows
from backend.core.database import equals_any
from backend.core.event import Event
from backend.core.tenancy import scope_of
from backend.standing.engine.prompts import Prompt
from backend.standing.engine.trace import encode_canonical
from backend.standing.events import PromptMoved, PromptRaised
from backend.standing.store import tables
from backend.standing.store.lock import LockedAssessments, LockedStudent

StepsInEffect = Mapping[UUID, Mapping[UUID, tables.PromptStep]]
"""The step in effect of every stored prompt, by student and prompt."""
TimedAct = tuple[audit.Act, datetime]


@dataclass(frozen=True, slots=True)
class _NewStep:
    """A prompt whose state differs from the stored step; `previous` is None for a new prompt."""

    student: LockedStudent
    prompt: Prompt
    previous: tables.PromptStep | None

    @property
    def changes_state(self) -> bool:
        return self.previous is not None and self.previous.state != self.prompt.state


async def load_steps_in_effect(session: AsyncSession, ids: Collection[UUID]) -> StepsInEffect:
    step = tables.PromptStep
    rows = await session.scalars(
        select(step).where(equals_any(step.student_id, ids)).order_by(step.prompt_id, step.seq)
    )
    steps: dict[UUID, dict[UUID, tables.PromptStep]] = defaultdict(dict)
    for row in rows:
        steps[row.student_id][row.prompt_id] = row
    return steps


async def save_prompts(
    session: AsyncSession, assessed: LockedAssessments, steps: StepsInEffect
) -> list[tuple[Event, datetime]]:
    """Insert new prompts, then every new step (its foreign key needs the prompt). Returns the events."""
    raised: list[tuple[LockedStudent, Prompt]] = []
    new_steps: list[_NewStep] = []
    for student, record in assessed:
        stored = steps[student.subject.student_id]
        for prompt in record.assessment.prompts:
            previous = stored.get(UUID(prompt.prompt_id))
            if previous is None:
                raised.append((student, prompt))
            if previous is None or _differs(previous, prompt):
                new_steps.append(_NewStep(student, prompt, previous))
    await insert_rows(session, tables.PromptRecord, _prompt_rows(raised))
    await insert_rows(session, tables.PromptStep, [_step_row(session, step) for step in new_steps])
    changed = [step for step in new_steps if step.changes_state]
    acts = [_raised_act(*each) for each in raised] + [_changed_act(step) for step in changed]
    await audit.record_all(session, acts)
    # Prompts that an earlier school closed were published there. An open one is for the new school to decide.
    to_publish = [
        (student, prompt)
        for student, prompt in raised
        if prompt.is_open or not student.subject.is_earlier(prompt.raised_at)
    ]
    return [_raised_event(*each) for each in to_publish] + [_changed_event(step) for step in changed]


# --- rows ---


def _prompt_rows(raised: Sequence[tuple[LockedStudent, Prompt]]) -> list[dict[str, Any]]:
    traces: dict[int, RawJson] = {}
    for _, prompt in raised:
        if id(prompt.trace) not in traces:  # students with the same facts share the trace
            traces[id(prompt.trace)] = RawJson(encode_canonical(prompt.trace))
    return [
        {
            "id": prompt.prompt_id,
            **student.keys,
            "kind": prompt.kind.value,
            "term_code": prompt.term,
            "grounds": list(prompt.grounds),
            "evidence": list(prompt.evidence),
            "event_day": prompt.event_day,
            "raised_at": prompt.raised_at,
            "proposed": prompt.proposed,
            "policy_version": prompt.trace.policy_version,
            "trace": traces[id(prompt.trace)],
        }
        for student, prompt in raised
    ]


def _step_row(session: AsyncSession, step: _NewStep) -> dict[str, Any]:
    return {
        "prompt_id": step.prompt.prompt_id,
        "seq": 1 if step.previous is None else step.previous.seq + 1,
        **step.student.keys,
        **_step_values(step.prompt),
        "acting_account": scope_of(session).account_id,
        "at": step.student.at,
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


def _differs(stored: tables.PromptStep, prompt: Prompt) -> bool:
    return any(getattr(stored, name) != value for name, value in _step_values(prompt).items())


# --- audit entries and events ---


def _raised_act(student: LockedStudent, prompt: Prompt) -> TimedAct:
    after = {"kind": prompt.kind.value, "term": prompt.term, "proposed": prompt.proposed}
    act = audit.Act("prompt.raised", "prompt", prompt.prompt_id, student.subject.path, after=after)
    return act, student.at


def _raised_event(student: LockedStudent, prompt: Prompt) -> tuple[Event, datetime]:
    fields = student.event_fields
    return PromptRaised(**fields, prompt_id=UUID(prompt.prompt_id), kind=prompt.kind), student.at


def _changed_act(step: _NewStep) -> TimedAct:
    assert step.previous is not None  # only a stored prompt changes its state
    prompt = step.prompt
    before = {"state": step.previous.state}
    after = {"state": prompt.state.value, "closed_by": prompt.closed_by}
    path = step.student.subject.path
    return audit.Act("prompt.step", "prompt", prompt.prompt_id, path, before, after), step.student.at


def _changed_event(step: _NewStep) -> tuple[Event, datetime]:
    student, prompt = step.student, step.prompt
    event = PromptMoved(**student.event_fields, prompt_id=UUID(prompt.prompt_id), state=prompt.state)
    return event, student.at
