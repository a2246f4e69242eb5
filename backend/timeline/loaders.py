"""Loads the records of a page, one kind at a time. The caller has checked that the student and the kinds may be read."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.aid.filings import FilingView, select_filings
from backend.aid.rules import AidKind
from backend.aid.tables import AidApplication, AidAward, AidDecision, AidFiling, AidInstalment, AidPayment
from backend.appeal.queries import AppealView, select_appeals
from backend.core.actor import Actor
from backend.core.keys import KeyRing
from backend.core.ltree import Ltree
from backend.identity.pictures.purposes import PicturePurpose
from backend.identity.pictures.schemas import PurposeOut
from backend.identity.pictures.tables import PictureView
from backend.identity.tables import Account
from backend.leave.kinds import LeaveKind
from backend.leave.queries import Leave, select_leaves
from backend.leave.reasons import decrypt_reason
from backend.leave.tables import LeaveRequest
from backend.org.tables import OrgUnit
from backend.roll_call.rules import Outcome
from backend.roll_call.tables import OutcomeEntry, RollCall, RollCallStep
from backend.standing.change_requests.queries import load_requests
from backend.standing.claims.queries import load_claims
from backend.standing.explanations.phrases import KINDS, PROMPT_STATES, outcome_words
from backend.standing.ledger.queries import EntryView, select_entries
from backend.standing.ledger.schemas import StatusOut
from backend.standing.prompts.queries import load_prompt_rows
from backend.standing.prompts.schemas import LabelledCodeOut
from backend.standing.store.tables import AppealFiled, AttendanceEntry, PromptStatement, StandingEntry
from backend.timeline.kinds import TimelineKind
from backend.timeline.positions import Position, TimelineStudent
from backend.timeline.schemas import (
    TimelineAidApplicationOut,
    TimelineAidFilingOut,
    TimelineAidPaymentOut,
    TimelineAppealOut,
    TimelineAttendanceOut,
    TimelineChangeRequestOut,
    TimelineClaimOut,
    TimelineEntry,
    TimelineLeaveOut,
    TimelinePictureViewOut,
    TimelinePromptOut,
    TimelineRollCallOut,
    TimelineStandingOut,
    TimelineStatementOut,
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What the loaders need: who reads whose file when, and the keys for the reasons of leave."""

    session: AsyncSession
    actor: Actor
    student: TimelineStudent
    keys: KeyRing
    at: datetime


Ids = Sequence[UUID]


async def load_records(reading: Reading, positions: Sequence[Position]) -> list[TimelineEntry]:
    """The records at the positions, in their order. A record that was deleted in between is left out."""
    records: dict[Position, TimelineEntry] = {}
    for kind in dict.fromkeys(each.kind for each in positions):
        places = {each.id: each for each in positions if each.kind is kind}
        for record in await _LOADERS[kind](reading, list(places)):
            records[places[record.id]] = record
    return [records[each] for each in positions if each in records]


async def _load_roll_calls(reading: Reading, ids: Ids) -> Sequence[TimelineRollCallOut]:
    session, student = reading.session, reading.student
    roll_calls = (await session.scalars(select(RollCall).where(RollCall.id.in_(ids)))).all()
    entries = await session.scalars(
        select(OutcomeEntry)
        .where(
            OutcomeEntry.term_code.in_({each.term_code for each in roll_calls}),
            OutcomeEntry.school_id == student.school_id,
            OutcomeEntry.roll_call_id.in_(ids),
            OutcomeEntry.student_id == student.id,
        )
        .order_by(OutcomeEntry.seq)
    )
    outcomes = {each.roll_call_id: each.outcome for each in entries}
    steps = select(RollCallStep.roll_call_id).where(
        RollCallStep.roll_call_id.in_(ids), RollCallStep.step == "voided"
    )
    voided = set(await session.scalars(steps))
    return [
        TimelineRollCallOut(
            id=each.id,
            at=each.opens_at,
            title=each.title,
            roll_call_kind=each.kind,
            outcome=Outcome(outcomes[each.id]) if each.id in outcomes else None,
            voided=each.id in voided,
        )
        for each in roll_calls
    ]


async def _load_prompts(reading: Reading, ids: Ids) -> Sequence[TimelinePromptOut]:
    label = LabelledCodeOut.of
    return [
        TimelinePromptOut(
            id=row.prompt.id,
            at=row.prompt.raised_at,
            prompt_kind=label(row.prompt.kind, KINDS[row.prompt.kind]),
            proposed=label(row.prompt.proposed, outcome_words(row.law, row.prompt.proposed)),
            state=label(row.step.state, PROMPT_STATES[row.step.state]),
        )
        for row in await load_prompt_rows(reading.session, reading.actor, ids)
    ]


async def _load_statements(reading: Reading, ids: Ids) -> Sequence[TimelineStatementOut]:
    rows = await reading.session.scalars(select(PromptStatement).where(PromptStatement.id.in_(ids)))
    return [
        TimelineStatementOut(
            id=row.id,
            at=row.at,
            prompt_id=row.prompt_id,
            text=row.text,
            by_guardian=row.guardian_link_id is not None,
        )
        for row in rows
    ]


async def _load_standing(reading: Reading, ids: Ids) -> Sequence[TimelineStandingOut]:
    rows = await reading.session.execute(select_entries().where(StandingEntry.id.in_(ids)))
    return [_standing_out(EntryView(*row)) for row in rows]


def _standing_out(view: EntryView) -> TimelineStandingOut:
    entry = view.entry
    return TimelineStandingOut(
        id=entry.id,
        at=entry.at,
        change_kind=view.change_kind,
        cause=entry.cause,
        before=StatusOut(standing=entry.standing_before, study_form=entry.study_form_before),
        after=StatusOut(standing=entry.standing_after, study_form=entry.study_form_after),
        reversed=view.reversed,
    )


async def _load_change_requests(reading: Reading, ids: Ids) -> Sequence[TimelineChangeRequestOut]:
    return [
        TimelineChangeRequestOut(
            id=view.request.id,
            at=view.request.filed_at,
            change_kind=view.request.change_kind,
            state=view.state,
        )
        for view in await load_requests(reading.session, reading.actor, ids)
    ]


async def _load_aid_applications(reading: Reading, ids: Ids) -> Sequence[TimelineAidApplicationOut]:
    granted = (
        select(func.sum(AidInstalment.fen))
        .where(AidInstalment.award_id == AidApplication.id)
        .scalar_subquery()
    )
    rows = await reading.session.execute(
        select(AidApplication, AidDecision.outcome, granted)
        .outerjoin(AidDecision, AidDecision.application_id == AidApplication.id)
        .where(AidApplication.id.in_(ids))
    )
    return [
        TimelineAidApplicationOut(
            id=row.id,
            at=row.filed_at,
            aid_kind=AidKind(row.kind),
            term_code=row.term_code,
            state=outcome or "pending",
            fen=fen,
        )
        for row, outcome, fen in rows
    ]


async def _load_aid_payments(reading: Reading, ids: Ids) -> Sequence[TimelineAidPaymentOut]:
    rows = await reading.session.execute(
        select(AidPayment, AidAward.kind)
        .join(AidAward, AidAward.id == AidPayment.award_id)
        .where(AidPayment.id.in_(ids))
    )
    return [
        TimelineAidPaymentOut(
            id=row.id, at=row.at, aid_kind=AidKind(kind), month=row.month, paid_on=row.paid_on, fen=row.fen
        )
        for row, kind in rows
    ]


async def _load_aid_filings(reading: Reading, ids: Ids) -> Sequence[TimelineAidFilingOut]:
    rows = await reading.session.execute(select_filings().where(AidFiling.id.in_(ids)))
    return [
        TimelineAidFilingOut.model_validate(
            {
                "id": view.filing.id,
                "at": view.filing.filed_at,
                "filing_kind": view.filing.kind,
                "term_code": view.filing.term_code,
                "state": view.state,
                "fen": view.filing.fen,
            }
        )
        for view in (FilingView(*row) for row in rows)
    ]


async def _load_appeals(reading: Reading, ids: Ids) -> Sequence[TimelineAppealOut]:
    rows = await reading.session.execute(select_appeals().where(AppealFiled.id.in_(ids)))
    return [
        TimelineAppealOut(
            id=view.filed.id,
            at=view.filed.filed_at,
            target=view.filed.target,
            appellant=view.filed.appellant,
            deciding_unit=view.unit_name,
            state=view.state,
        )
        for view in (AppealView(*row) for row in rows)
    ]


async def _load_leave(reading: Reading, ids: Ids) -> Sequence[TimelineLeaveOut]:
    rows = await reading.session.execute(select_leaves().where(LeaveRequest.id.in_(ids)))
    return [_leave_out(Leave(*row), reading) for row in rows]


def _leave_out(leave: Leave, reading: Reading) -> TimelineLeaveOut:
    request = leave.request
    return TimelineLeaveOut(
        id=request.id,
        at=request.filed_at,
        leave_kind=LeaveKind(request.kind),
        starts_at=request.starts_at,
        ends_at=request.ends_at,
        text=decrypt_reason(reading.keys, request),
        state=leave.state(reading.at),
    )


async def _load_attendance(reading: Reading, ids: Ids) -> Sequence[TimelineAttendanceOut]:
    rows = await reading.session.scalars(select(AttendanceEntry).where(AttendanceEntry.id.in_(ids)))
    return [TimelineAttendanceOut(id=row.id, at=row.at, present=row.present, note=row.note) for row in rows]


async def _load_claims(reading: Reading, ids: Ids) -> Sequence[TimelineClaimOut]:
    return [
        TimelineClaimOut(
            id=view.claim.id,
            at=view.claim.filed_at,
            roll_call_id=view.claim.roll_call_id,
            roll_call_title=view.roll_call.title,
            text=view.claim.text,
            state=view.state,
        )
        for view in await load_claims(reading.session, reading.actor, ids)
    ]


async def _load_picture_views(reading: Reading, ids: Ids) -> Sequence[TimelinePictureViewOut]:
    rows = await reading.session.execute(
        select(PictureView, OrgUnit.name, Account.display_name)
        .join(OrgUnit, OrgUnit.path == cast(PictureView.org_path, Ltree()))
        .outerjoin(Account, Account.id == PictureView.account_id)
        .where(PictureView.id.in_(ids))
    )
    return [_view_out(view, unit, person) for view, unit, person in rows]


def _view_out(view: PictureView, unit: str, person: str | None) -> TimelinePictureViewOut:
    purpose = PicturePurpose(view.purpose)
    return TimelinePictureViewOut(
        id=view.id,
        at=view.at,
        unit=unit,
        person=person,
        purpose=PurposeOut(code=purpose, zh=purpose.words.zh, en=purpose.words.en),
    )


_LOADERS: Mapping[TimelineKind, Callable[[Reading, Ids], Awaitable[Sequence[TimelineEntry]]]] = {
    TimelineKind.ROLL_CALL: _load_roll_calls,
    TimelineKind.PROMPT: _load_prompts,
    TimelineKind.STATEMENT: _load_statements,
    TimelineKind.STANDING: _load_standing,
    TimelineKind.CHANGE_REQUEST: _load_change_requests,
    TimelineKind.AID_APPLICATION: _load_aid_applications,
    TimelineKind.AID_PAYMENT: _load_aid_payments,
    TimelineKind.AID_FILING: _load_aid_filings,
    TimelineKind.APPEAL: _load_appeals,
    TimelineKind.LEAVE: _load_leave,
    TimelineKind.ATTENDANCE: _load_attendance,
    TimelineKind.CLAIM: _load_claims,
    TimelineKind.PICTURE_VIEW: _load_picture_views,
}
