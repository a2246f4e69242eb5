"""Challenges: a nonce, and the actions to do in front of the camera, drawn by the server.

Asking again must not make a challenge easier. An unanswered challenge keeps its actions until it expires; an action
that a student reports as impossible is excluded for the whole roll call; and the number of challenges is limited. A
student who can do too few actions, or has used up the challenges, is referred to the counselor and is never missed for
that alone.
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
from backend.identity.devices.service import load_active_device
from backend.roll_call import errors
from backend.roll_call.eligibility import (
    RecordedRefusal,
    StudentCheck,
    find_refusal,
    load_attempt_state,
    load_student_check,
    record_refusal,
)
from backend.roll_call.outcomes import lock_obligation
from backend.roll_call.policy import CheckInLimits
from backend.roll_call.tables import Challenge, Submission
from biometrics.liveness.actions import Action, ActionsTooFew, draw_actions
from biometrics.liveness.reactions import draw_cues

NONCE_BYTES = 24
COLOURS = ("#ff0000", "#00ff00", "#0000ff", "#00ffff", "#ff00ff", "#ffff00")
"""The six hues that are farthest from each other on a screen."""
_RANDOM = secrets.SystemRandom()


async def issue_challenge(
    session: AsyncSession, actor: Actor, roll_call_id: UUID, cannot: Collection[Action], at: datetime
) -> Challenge | RecordedRefusal:
    """Issue a nonce and actions for one check-in, without the actions that the student cannot do.

    An unanswered challenge with at least half its lifetime left is returned again, so that retries get the same one.
    After that, until it expires, a new nonce comes with the same actions.
    """
    check = await load_student_check(session, actor, roll_call_id, at)
    refusal = find_refusal(await load_attempt_state(session, check), check.figures, at)
    if refusal is not None:
        return await record_refusal(session, check, "challenge", refusal, at)
    device = await load_active_device(session, check.obligation.student_id)
    if device is None:
        raise NotFound
    await lock_obligation(session, roll_call_id, check.obligation.student_id)
    issued = await _load_issued_challenges(session, check)
    unable = {*cannot, *(Action(code) for each in issued for code in each.challenge.cannot)}
    pending = _find_pending(issued, at)
    if pending is not None and unable.isdisjoint(pending.actions):
        is_fresh = pending.expires_at >= at + check.figures.challenge_lifetime / 2
        if is_fresh and pending.key_thumbprint == device.jkt and unable.issubset(pending.cannot):
            return pending
        actions = tuple(Action(code) for code in pending.actions)
    else:
        try:
            actions = _draw_possible_actions(unable, check.figures)
        except ActionsTooFew as error:
            too_few = errors.ChallengeActionsTooFew(**error.params)
            return await record_refusal(session, check, "challenge", too_few, at)
    if len(issued) >= check.figures.challenges:
        exhausted = errors.ChallengesExhausted(challenges=len(issued))
        return await record_refusal(session, check, "challenge", exhausted, at)
    challenge = _make_challenge(check, device.jkt, actions, unable, at)
    session.add(challenge)
    await session.flush()
    return challenge


def _make_challenge(
    check: StudentCheck,
    key_thumbprint: str,
    actions: Sequence[Action],
    unable: Collection[Action],
    at: datetime,
) -> Challenge:
    return Challenge(
        nonce=secrets.token_urlsafe(NONCE_BYTES),
        roll_call_id=check.roll_call.id,
        school_id=check.obligation.school_id,
        term_code=check.roll_call.term_code,
        student_id=check.obligation.student_id,
        key_thumbprint=key_thumbprint,
        actions=list(actions),
        cannot=sorted(unable),
        flash=draw_flash_colours(_RANDOM, check.figures.flash_colours),
        cues_ms=list(draw_cues(_RANDOM, len(actions), check.figures.cues)),
        issued_at=at,
        expires_at=at + check.figures.challenge_lifetime,
    )


@dataclass(frozen=True, slots=True)
class _IssuedChallenge:
    """A challenge of this student, and whether an envelope answered it."""

    challenge: Challenge
    answered: bool


async def _load_issued_challenges(session: AsyncSession, check: StudentCheck) -> Sequence[_IssuedChallenge]:
    """Load the student's challenges in this roll call, newest first."""
    rows = await session.execute(
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
            Challenge.term_code == check.roll_call.term_code,
            Challenge.roll_call_id == check.roll_call.id,
            Challenge.school_id == check.obligation.school_id,
            Challenge.student_id == check.obligation.student_id,
        )
        .order_by(Challenge.expires_at.desc())
    )
    return [_IssuedChallenge(challenge, submission_id is not None) for challenge, submission_id in rows]


def _find_pending(issued: Sequence[_IssuedChallenge], at: datetime) -> Challenge | None:
    """Return the newest unanswered challenge that has not expired and is not older than an answered one."""
    since = max((each.challenge.expires_at for each in issued if each.answered), default=at)
    return next(
        (
            each.challenge
            for each in issued
            if not each.answered and each.challenge.expires_at >= max(at, since)
        ),
        None,
    )


def draw_flash_colours(random: Random, count: int) -> list[str]:
    """Draw colours for the screen, never the same one twice in a row."""
    drawn: list[str] = []
    for _ in range(count):
        drawn.append(random.choice([colour for colour in COLOURS if drawn[-1:] != [colour]]))
    return drawn


def _draw_possible_actions(unable: Collection[Action], figures: CheckInLimits) -> tuple[Action, ...]:
    """Draw as many actions as the policy asks from those that the student can do; raises ActionsTooFew."""
    able = [action for action in Action if action not in unable]
    return draw_actions(_RANDOM, able, _RANDOM.randint(figures.actions_minimum, figures.actions_maximum))
