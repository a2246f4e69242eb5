"""The challenge: a nonce, and what to do before the camera, drawn by the server.

Asking again must not make it easier. An unanswered challenge keeps its actions as long as it lives; what a student
said they cannot do holds for the whole roll call; and there are only so many challenges in one. Whoever can do too
little of it, or has used them up, is sent to a person and is never missed for that alone.
"""

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random
from uuid import UUID

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.errors import NotFound
from backend.identity.devices.service import active_device
from backend.roll_call import errors
from backend.roll_call.eligibility import (
    Refused,
    StudentCheck,
    load_student_check,
    refuse,
    stored_ineligibility,
)
from backend.roll_call.outcomes import lock_obligation
from backend.roll_call.policy import CheckInFigures
from backend.roll_call.tables import Challenge, Submission
from biometrics.liveness.actions import Action, ActionsTooFew, draw_actions
from biometrics.liveness.flash import Colour

NONCE_BYTES = 24
COLOURS = ("#ff0000", "#00ff00", "#0000ff", "#00ffff", "#ff00ff", "#ffff00")
"""As far from each other in hue as a screen shows them."""
_RANDOM = secrets.SystemRandom()


async def issue_challenge(
    session: AsyncSession, actor: Actor, roll_call_id: UUID, cannot: Collection[Action], at: datetime
) -> Challenge | Refused:
    """A nonce and actions for one check-in, without those that the student cannot do.

    An unanswered one with half its life left is given again, so that retries meet. Later, until its end, a fresh
    nonce comes with the same actions.
    """
    task = await load_student_check(session, actor, roll_call_id, at)
    refusal = await stored_ineligibility(session, task, at)
    if refusal is not None:
        return await refuse(session, task, "challenge", refusal, at)
    device = await active_device(session, task.obligation.student_id)
    if device is None:
        raise NotFound
    await lock_obligation(session, roll_call_id, task.obligation.student_id)
    given = await _given(session, task)
    unable = {*cannot, *(Action(code) for each in given for code in each.challenge.cannot)}
    living = _living(given, at)
    if living is not None and unable.isdisjoint(living.actions):
        fresh = living.expires_at >= at + task.figures.challenge_lifetime / 2
        if fresh and living.key_thumbprint == device.jkt and unable.issubset(living.cannot):
            return living
        actions = tuple(Action(code) for code in living.actions)
    else:
        try:
            actions = _drawn(unable, task.figures)
        except ActionsTooFew as error:
            few = errors.ChallengeActionsTooFew(**error.params)
            return await refuse(session, task, "challenge", few, at)
    if len(given) >= task.figures.challenges:
        exhausted = errors.ChallengesExhausted(challenges=len(given))
        return await refuse(session, task, "challenge", exhausted, at)
    challenge = Challenge(
        nonce=secrets.token_urlsafe(NONCE_BYTES),
        roll_call_id=roll_call_id,
        school_id=task.obligation.school_id,
        term_code=task.roll_call.term_code,
        student_id=task.obligation.student_id,
        key_thumbprint=device.jkt,
        actions=list(actions),
        cannot=sorted(unable),
        flash=draw_flash(_RANDOM, task.figures.flash_colours),
        issued_at=at,
        expires_at=at + task.figures.challenge_lifetime,
    )
    session.add(challenge)
    await session.flush()
    return challenge


@dataclass(frozen=True, slots=True)
class _Given:
    """A challenge of this student, and whether an envelope answered it."""

    challenge: Challenge
    answered: bool


async def _given(session: AsyncSession, task: StudentCheck) -> Sequence[_Given]:
    """The student's challenges in this roll call, the newest first."""
    found = await session.execute(
        select(Challenge, Submission.id)
        .outerjoin(
            Submission,
            and_(
                Submission.term_code == Challenge.term_code,
                Submission.school_id == Challenge.school_id,
                Submission.nonce == Challenge.nonce,
            ),
        )
        .where(
            Challenge.term_code == task.roll_call.term_code,
            Challenge.roll_call_id == task.roll_call.id,
            Challenge.school_id == task.obligation.school_id,
            Challenge.student_id == task.obligation.student_id,
        )
        .order_by(Challenge.expires_at.desc())
    )
    return [_Given(challenge, answer is not None) for challenge, answer in found]


def _living(given: Sequence[_Given], at: datetime) -> Challenge | None:
    """The newest unanswered challenge that has not expired and was not given before one that was answered."""
    since = max((each.challenge.expires_at for each in given if each.answered), default=at)
    return next(
        (
            each.challenge
            for each in given
            if not each.answered and each.challenge.expires_at >= max(at, since)
        ),
        None,
    )


def draw_flash(random: Random, count: int) -> list[str]:
    """Colours for the screen, none twice in a row."""
    drawn: list[str] = []
    for _ in range(count):
        drawn.append(random.choice([colour for colour in COLOURS if drawn[-1:] != [colour]]))
    return drawn


def shown_at(flash: Sequence[str], each_ms: int, at_ms: int) -> Colour | None:
    """The colour on the screen so many milliseconds after the burst began: the sequence repeats. None without one."""
    if not flash:
        return None
    red, green, blue = bytes.fromhex(flash[at_ms // each_ms % len(flash)].removeprefix("#"))
    return float(red), float(green), float(blue)


def _drawn(unable: Collection[Action], figures: CheckInFigures) -> tuple[Action, ...]:
    """As many actions as policy allows, of those that remain; raises ActionsTooFew."""
    able = [action for action in Action if action not in unable]
    return draw_actions(_RANDOM, able, _RANDOM.randint(figures.actions_minimum, figures.actions_maximum))
