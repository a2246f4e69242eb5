"""The inputs of verification, loaded for several submissions of one school with a fixed number of queries."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID

import structlog
from sqlalchemy import ARRAY, Select, Uuid, cast, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from backend.campus.fences import load_sites
from backend.core.app_context import AppContext
from backend.core.clock import legal_day
from backend.core.errors import NotFound
from backend.identity.face.calibration.lookup import (
    StudentThresholds,
    ThresholdQuery,
    load_student_thresholds,
)
from backend.identity.face.match_references import ReferenceRequest, load_references
from backend.identity.face.selfie_fingerprints import SelfieFingerprint, load_selfie_fingerprints
from backend.identity.pictures.keys import load_picture_keys
from backend.identity.pictures.refs import PictureRef
from backend.roll_call.envelope import parse_stored_envelope
from backend.roll_call.looks.bases import LookBasis, load_look_bases
from backend.roll_call.policy import position_history, roll_call_policy
from backend.roll_call.rules import REHEARSAL, REHEARSED
from backend.roll_call.tables import (
    Challenge,
    Obligation,
    RollCall,
    RollCallExtension,
    RollCallSite,
    Submission,
    SubmissionFrame,
    VerdictRecord,
)
from biometrics.errors import BiometricsError
from biometrics.matching.scoring import MatchReference
from biometrics.templates.sealing import PictureKey, PictureUnreadable
from geo.position_signals import EarlierCheck
from geo.site import Site

log = structlog.get_logger()

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class VerificationInput:
    """Everything that the verification of one submission needs, read in one transaction."""

    submission: Submission
    challenge: Challenge
    roll_call: RollCall
    obligation: Obligation
    frames: tuple[PictureRef, ...]
    """Those that are stored, in the order of the burst."""
    picture_key: PictureKey | None
    """None if the student has no key or it cannot be unwrapped; the frames are then unreadable."""
    sites: tuple[Site, ...]
    reference: MatchReference | None
    thresholds: StudentThresholds | None
    """What the score means for this student; None without a reference."""
    earlier: tuple[SelfieFingerprint, ...]
    reused: bool
    earlier_positions: tuple[EarlierCheck, ...]
    portrait_id: UUID | None
    look_barred: str | None
    """Why no person may compare the student's pictures with the portrait, as a reason code."""


async def load_inputs(
    session: AsyncSession, app_context: AppContext, school_id: UUID, submission_ids: Collection[UUID]
) -> list[VerificationInput]:
    """Load the inputs of these submissions of one school; submissions that have a verdict are left out.

    Raises NotFound if a submission does not exist.
    """
    of_school = Submission.school_id == school_id
    rows = await _load_rows(session, select(Submission).where(of_school, Submission.id.in_(submission_ids)))
    if len(rows) < len(set(submission_ids)):
        raise NotFound
    terms = {each.term_code for each in rows}
    with_verdict = select(VerdictRecord.submission_id).where(
        VerdictRecord.term_code.in_(terms),
        VerdictRecord.school_id == school_id,
        VerdictRecord.submission_id.in_(submission_ids),
    )
    pending = set(submission_ids).difference(await session.scalars(with_verdict))
    submissions = [each for each in rows if each.id in pending]
    if not submissions:
        return []
    context = await _load_context(session, submissions)
    frames = await _load_frames(session, submissions)
    picture_keys = await _load_picture_keys(session, app_context, submissions)
    references = await _load_references(session, app_context, school_id, submissions, context)
    thresholds = await _load_thresholds(session, app_context, school_id, submissions, references, context)
    earlier = await load_selfie_fingerprints(
        session, app_context.keys, {each.student_id for each in submissions}
    )
    seen_elsewhere = func.definer.submissions_with_reused_frames(cast(list(pending), ARRAY(Uuid)))
    reused = set(await session.scalars(select(seen_elsewhere)))
    recent = await _load_recent_submissions(session, submissions, context)
    look_bases = await load_look_bases(session, {each.student_id for each in submissions})
    return [
        VerificationInput(
            submission=each,
            challenge=context.challenges[each.nonce],
            roll_call=context.roll_calls[each.roll_call_id],
            obligation=context.obligations[each.roll_call_id, each.student_id],
            frames=tuple(frames[each.id]),
            picture_key=picture_keys.get(each.student_id),
            sites=context.sites[each.roll_call_id],
            reference=reference,
            thresholds=thresholds.get(each.id),
            earlier=tuple(earlier[each.student_id]),
            reused=each.id in reused,
            earlier_positions=_earlier_positions(each, context.roll_calls[each.roll_call_id], recent),
            portrait_id=look_bases[each.student_id].portrait_id,
            look_barred=_find_look_bar(context.roll_calls[each.roll_call_id], look_bases[each.student_id]),
        )
        for each, reference in zip(submissions, references, strict=True)
    ]


def _find_look_bar(roll_call: RollCall, basis: LookBasis) -> str | None:
    return REHEARSED if roll_call.kind == REHEARSAL else basis.barred


async def _load_rows(session: AsyncSession, query: Select[Row]) -> Sequence[Row]:
    return (await session.scalars(query)).all()


@dataclass(frozen=True, slots=True)
class _Context:
    """The roll calls, obligations, challenges and sites of the submissions."""

    roll_calls: dict[UUID, RollCall]
    obligations: dict[tuple[UUID, UUID], Obligation]
    challenges: dict[str, Challenge]
    sites: dict[UUID, tuple[Site, ...]]


async def _load_context(session: AsyncSession, submissions: Sequence[Submission]) -> _Context:
    roll_call_ids = {each.roll_call_id for each in submissions}
    owed = [(each.roll_call_id, each.student_id) for each in submissions]
    nonces = [each.nonce for each in submissions]
    terms, school_id = {each.term_code for each in submissions}, submissions[0].school_id
    obligations = select(Obligation).where(
        Obligation.term_code.in_(terms),
        Obligation.school_id == school_id,
        tuple_(Obligation.roll_call_id, Obligation.student_id).in_(owed),
    )
    challenges = select(Challenge).where(
        Challenge.term_code.in_(terms), Challenge.school_id == school_id, Challenge.nonce.in_(nonces)
    )
    roll_calls = select(RollCall).where(RollCall.id.in_(roll_call_ids))
    return _Context(
        {each.id: each for each in await _load_rows(session, roll_calls)},
        {(each.roll_call_id, each.student_id): each for each in await _load_rows(session, obligations)},
        {each.nonce: each for each in await _load_rows(session, challenges)},
        await _load_sites(session, roll_call_ids, submissions),
    )


async def _load_sites(
    session: AsyncSession, roll_call_ids: Collection[UUID], submissions: Sequence[Submission]
) -> dict[UUID, tuple[Site, ...]]:
    versions: dict[UUID, set[UUID]] = defaultdict(set)
    rows = select(RollCallSite.roll_call_id, RollCallSite.site_version_id).where(
        RollCallSite.term_code.in_({each.term_code for each in submissions}),
        RollCallSite.roll_call_id.in_(roll_call_ids),
        RollCallSite.school_id == submissions[0].school_id,
    )
    for roll_call_id, version_id in await session.execute(rows):
        versions[roll_call_id].add(version_id)
    return {
        roll_call_id: await load_sites(session, versions[roll_call_id]) if versions[roll_call_id] else ()
        for roll_call_id in roll_call_ids
    }


async def _load_recent_submissions(
    session: AsyncSession, submissions: Sequence[Submission], context: _Context
) -> dict[UUID, list[tuple[datetime, str]]]:
    """Return arrival and envelope of the submissions within the period of comparison, by student.

    The roll calls of the period are selected first: there are few, and the index of submissions begins with them.
    """
    history = max(position_history(roll_call_policy(each)) for each in context.roll_calls.values())
    since = min(each.received_at for each in submissions) - history
    until = max(each.received_at for each in submissions)
    terms = {each.term_code for each in submissions}
    extended = select(RollCallExtension.roll_call_id).where(RollCallExtension.until >= since)
    recent_roll_calls = select(RollCall.id).where(
        RollCall.term_code.in_(terms),
        RollCall.opens_at <= until,
        or_(RollCall.closes_at >= since, RollCall.id.in_(extended)),
    )
    roll_call_ids = (await session.scalars(recent_roll_calls)).all()
    rows = await session.execute(
        select(Submission.student_id, Submission.received_at, Submission.envelope).where(
            Submission.term_code.in_(terms),
            Submission.school_id == submissions[0].school_id,
            Submission.roll_call_id.in_(roll_call_ids),
            Submission.student_id.in_({each.student_id for each in submissions}),
            Submission.received_at >= since,
            Submission.received_at < until,
            Submission.envelope_deleted_at.is_(None),
        )
    )
    recent: dict[UUID, list[tuple[datetime, str]]] = defaultdict(list)
    for student_id, received_at, envelope in rows:
        recent[student_id].append((received_at, envelope))
    return recent


def _earlier_positions(
    submission: Submission, roll_call: RollCall, recent: Mapping[UUID, Sequence[tuple[datetime, str]]]
) -> tuple[EarlierCheck, ...]:
    """Return the positions of the student's earlier submissions, as far back as the policy compares."""
    since = submission.received_at - position_history(roll_call_policy(roll_call))
    return tuple(
        EarlierCheck(
            [fix.to_fix() for fix in parse_stored_envelope(envelope).fixes],
            (submission.received_at - received_at).total_seconds(),
        )
        for received_at, envelope in recent.get(submission.student_id, ())
        if since <= received_at < submission.received_at
    )


async def _load_frames(
    session: AsyncSession, submissions: Sequence[Submission]
) -> dict[UUID, list[PictureRef]]:
    """Return the stored frames by submission, in the order of the burst."""
    stored = await session.execute(
        select(SubmissionFrame.submission_id, SubmissionFrame.position)
        .where(
            SubmissionFrame.term_code.in_({each.term_code for each in submissions}),
            SubmissionFrame.school_id == submissions[0].school_id,
            SubmissionFrame.submission_id.in_([each.id for each in submissions]),
        )
        .order_by(SubmissionFrame.submission_id, SubmissionFrame.position)
    )
    by_id = {each.id: each for each in submissions}
    frames: dict[UUID, list[PictureRef]] = defaultdict(list)
    for submission_id, position in stored:
        frames[submission_id].append(by_id[submission_id].frame(position))
    return frames


async def _load_picture_keys(
    session: AsyncSession, app_context: AppContext, submissions: Sequence[Submission]
) -> dict[UUID, PictureKey]:
    """Return the usable picture keys by student."""
    students = {each.student_id for each in submissions}
    loaded = await load_picture_keys(session, app_context.keys, students)
    usable: dict[UUID, PictureKey] = {}
    for student_id, key in loaded.items():
        if isinstance(key, PictureUnreadable):
            log.warning("picture key unreadable", student=str(student_id))
        else:
            usable[student_id] = key
    return usable


async def _load_references(
    session: AsyncSession,
    app_context: AppContext,
    school_id: UUID,
    submissions: Sequence[Submission],
    context: _Context,
) -> list[MatchReference | None]:
    """Load the reference of each student; None if there is no template or it cannot be decrypted."""
    claimed = [
        ReferenceRequest(
            each.student_id,
            roll_call_policy(context.roll_calls[each.roll_call_id]),
            context.obligations[each.roll_call_id, each.student_id].class_id,
        )
        for each in submissions
    ]
    usable: list[MatchReference | None] = []
    references = await load_references(session, app_context.keys, school_id, claimed)
    for submission, reference in zip(submissions, references, strict=True):
        if isinstance(reference, BiometricsError):
            log.warning("template unreadable", submission=str(submission.id), code=reference.code)
        usable.append(None if isinstance(reference, BiometricsError) else reference)
    return usable


async def _load_thresholds(
    session: AsyncSession,
    app_context: AppContext,
    school_id: UUID,
    submissions: Sequence[Submission],
    references: Sequence[MatchReference | None],
    context: _Context,
) -> dict[UUID, StudentThresholds]:
    """The thresholds of each submission with a reference, read once for the batch."""
    queries = {
        each.id: ThresholdQuery(
            each.student_id,
            reference,
            roll_call_policy(context.roll_calls[each.roll_call_id]),
            legal_day(each.received_at),
        )
        for each, reference in zip(submissions, references, strict=True)
        if reference is not None
    }
    found = await load_student_thresholds(session, app_context, school_id, list(queries.values()))
    return dict(zip(queries, found, strict=True))
