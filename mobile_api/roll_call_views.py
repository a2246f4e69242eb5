"""Rendering of roll calls and attempts for the mobile API."""

from datetime import datetime

from backend.core.keys import KeyRing
from backend.roll_call import reason_texts, student_queries
from backend.roll_call.check_in.card import CardFacts, build_card
from backend.roll_call.launch.arrival_jitter import jitter_fraction
from backend.roll_call.launch.texts import KINDS
from backend.roll_call.policy import max_arrival_jitter
from backend.roll_call.reason_texts import explain_refusal
from backend.roll_call.rules import StudentPhase
from backend.roll_call.student_schemas import ExplainedReasonOut, OwnRefusalOut, OwnRollCallOut, SubmissionOut
from backend.roll_call.tables import Refusal, RollCall
from backend.standing.student_view.counting import Positions, judge_miss


def roll_call_state(roll_call: RollCall, at: datetime, *, voided: bool) -> StudentPhase:
    """The phase of an announced roll call."""
    if voided:
        return "voided"
    if at < roll_call.opens_at:
        return "announced"
    return "open" if at <= roll_call.deadline else "closed"


def _challenge_time(view: student_queries.StudentRollCall, keys: KeyRing) -> datetime:
    """When an app should request its challenge automatically; jitter spreads the students over time."""
    roll_call = view.roll_call
    fraction = jitter_fraction(keys.secret("blind-index"), roll_call.id, view.obligation.student_id)
    return max(roll_call.notify_at, roll_call.opens_at) + fraction * max_arrival_jitter(roll_call)


def render_roll_call(
    view: student_queries.StudentRollCall,
    facts: CardFacts,
    positions: Positions,
    at: datetime,
    keys: KeyRing,
) -> OwnRollCallOut:
    """A roll call as its student sees it."""
    roll_call, outcome, student_id = view.roll_call, view.outcome, view.obligation.student_id
    result = outcome.outcome if outcome else None
    counting = judge_miss(positions, student_id, roll_call.id, roll_call.kind, result, voided=view.voided)
    words = counting.words if counting else None
    card = build_card(view, facts, roll_call_state(roll_call, at, voided=view.voided))
    advice = words or reason_texts.what_to_do(
        card.phase,
        view.obligation.duty,
        result,
        sent_to_a_person=view.sent_to_a_person,
        rehearsed=view.is_undetermined_rehearsal,
        look_until=view.look_until,
        without_face=card.without_face,
    )
    reason = reason_texts.closed_reason(outcome.reason) if outcome else None
    return OwnRollCallOut(
        id=roll_call.id,
        kind=roll_call.kind,
        kind_zh=KINDS[roll_call.kind].zh,
        kind_en=KINDS[roll_call.kind].en,
        title=roll_call.title,
        launcher_id=roll_call.launcher_id,
        launcher_name=card.launcher_name,
        term_code=roll_call.term_code,
        opens_at=roll_call.opens_at,
        closes_at=roll_call.deadline,
        extended_from=roll_call.closes_at if roll_call.extended_until else None,
        duty=view.obligation.duty,
        duty_reason=view.obligation.reason,
        state=card.phase,
        outcome=result,
        outcome_reason=outcome.reason if outcome else None,
        outcome_reason_zh=reason.zh if reason else None,
        outcome_reason_en=reason.en if reason else None,
        look_until=view.look_until,
        counts_as_miss=counting.why is None if counting else None,
        not_counted_reason=counting.why if counting else None,
        not_counted_zh=words.zh if words else None,
        not_counted_en=words.en if words else None,
        what_to_do_zh=advice.zh,
        what_to_do_en=advice.en,
        next_actor=card.next_actor,
        tries_left=card.tries_left,
        verification_route="non_face" if card.without_face else "face",
        alternative_zh=reason_texts.ALTERNATIVE.zh,
        alternative_en=reason_texts.ALTERNATIVE.en,
        server_time=at,
        ask_after_s=max(0.0, (_challenge_time(view, keys) - at).total_seconds()),
    )


def render_submission(view: student_queries.SubmissionWithVerdict, *, closed: bool) -> SubmissionOut:
    verdict = view.verdict
    explain = reason_texts.closed_reason if closed else reason_texts.reason
    reasons = [explain(code) for code in verdict.reasons] if verdict else []
    return SubmissionOut(
        id=view.submission.id,
        received_at=view.submission.received_at,
        frames_due_at=view.submission.frames_due_at,
        finding=verdict.finding if verdict else None,
        reasons=[ExplainedReasonOut(code=each.code, zh=each.zh, en=each.en) for each in reasons],
    )


def render_refusal(refusal: Refusal) -> OwnRefusalOut:
    """An attempt that was refused immediately, with the sentence that the student got."""
    words = explain_refusal(refusal.code, refusal.detail)
    return OwnRefusalOut(at=refusal.at, step=refusal.step, code=refusal.code, zh=words.zh, en=words.en)
