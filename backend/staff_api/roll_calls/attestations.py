"""Staff endpoints for results by people: attestations, their review, and determinations of undetermined results."""

from uuid import UUID

from fastapi import APIRouter

from backend.core.errors import DomainError
from backend.core.listing.pages import CountedPage, PageRequest, WithTotal
from backend.core.pagination import Cursor, Limit
from backend.core.web.problems import problem_responses
from backend.identity.names import with_names
from backend.roll_call.access import access_roll_call
from backend.roll_call.attestation.card_codes import issue_student_code
from backend.roll_call.attestation.limits import load_attestation_limits
from backend.roll_call.attestation.position import AttesterPosition
from backend.roll_call.attestation.queries import (
    AttestationSort,
    load_attestations_page,
    load_roll_call_sites,
)
from backend.roll_call.attestation.reasons import REASON_WORDS, AttestationReason, describe_reason
from backend.roll_call.attestation.review import (
    ReviewAttestation,
    ReviewState,
    SampleFilter,
    SampleSort,
    load_samples_page,
    review_attestation,
)
from backend.roll_call.attestation.schemas import (
    AttestationLimitOut,
    AttestationLimitsOut,
    AttestationOut,
    AttestationReasonOut,
    AttestationSampleOut,
    AttestIn,
    ClassAttestationLimitOut,
    CodeOut,
    ListedAttestationOut,
    ReviewIn,
    ReviewOut,
    RollCallSiteOut,
)
from backend.roll_call.attestation.service import AttestPresence, attest_presence
from backend.roll_call.progress.changes import publish_changed
from backend.roll_call.rules import Outcome
from backend.roll_call.settlement.determination import DetermineOutcome, determine_outcome
from backend.roll_call.staff_schemas import DeterminedOutcomeOut, DetermineIn
from backend.staff_api.caller import StaffCaller
from geo.location_fixes import Fix

router = APIRouter(prefix="/v1", tags=["人工核验 · checks by people"])


@router.post(
    "/students/{student_id}/card-code", status_code=201, responses=problem_responses(401, 403, 404, 422)
)
async def issue_student_card_code(caller: StaffCaller, student_id: UUID) -> CodeOut:
    """制发学生卡核验码（只显示一次） · Issue the code of a student's card; shown only once, the old one stops working."""
    async with caller.transaction() as session:
        code = await issue_student_code(session, caller.actor, student_id, caller.at, caller.app_context.keys)
    return CodeOut(code=code)


@router.get("/roll-calls/{roll_call_id}/sites", responses=problem_responses(401, 403, 404, 422))
@with_names
async def list_roll_call_sites(caller: StaffCaller, roll_call_id: UUID) -> list[RollCallSiteOut]:
    """本次核验冻结的办学地址 · List the site versions that were frozen when the roll call was launched."""
    async with caller.transaction() as session:
        roll_call = await access_roll_call(session, caller.actor, roll_call_id, caller.at)
        rows = await load_roll_call_sites(session, roll_call)
    return [
        RollCallSiteOut(site_version_id=row.site_version_id, school_id=row.school_id, site_name=site_name)
        for row, site_name in rows
    ]


@router.post(
    "/roll-calls/{roll_call_id}/attestations",
    status_code=201,
    responses=problem_responses(401, 403, 404, 409, 422, 429),
)
@with_names
async def attest_student(caller: StaffCaller, roll_call_id: UUID, body: AttestIn) -> AttestationOut:
    """现场核验（非人脸） · Attest a student's presence with the code of the student's card; by a counselor who is on the filed site."""
    assert caller.session_id is not None
    position = AttesterPosition(Fix(**body.position.model_dump()), caller.session_id)
    command = AttestPresence(
        roll_call_id,
        body.student_id,
        body.code,
        body.site_version_id,
        describe_reason(body.reason_code, body.reason),
        position,
        body.reason_code,
    )
    async with caller.transaction() as session:
        row = await attest_presence(session, caller.actor, command, caller.at, caller.app_context.keys)
    if isinstance(row, DomainError):  # its count is committed
        raise row
    await publish_changed(caller.app_context.redis, roll_call_id)
    return AttestationOut(student_id=row.student_id, site_version_id=row.site_version_id, at=row.at)


@router.get("/roll-calls/{roll_call_id}/attestations", responses=problem_responses(401, 403, 404, 422))
async def list_attestations(
    caller: StaffCaller,
    roll_call_id: UUID,
    sort: AttestationSort = "at",
    limit: Limit = 50,
    cursor: Cursor = None,
    *,
    total: WithTotal = False,
) -> CountedPage[ListedAttestationOut]:
    """现场核验记录（先后顺序） · The attestations of a roll call, oldest first; a counselor sees those of own classes."""
    request = PageRequest(limit, cursor, sort, total)
    async with caller.transaction() as session:
        roll_call = await access_roll_call(session, caller.actor, roll_call_id, caller.at)
        page = await load_attestations_page(session, caller.actor, roll_call, request)
    return page.render_counted(ListedAttestationOut.of)


@router.get("/attestation-reasons", responses=problem_responses(401))
async def list_attestation_reasons(_: StaffCaller) -> list[AttestationReasonOut]:
    """现场核验的原因 · The reasons to choose from when a student is attested."""
    return [
        AttestationReasonOut(code=code, zh=words.zh, en=words.en, needs_text=code is AttestationReason.OTHER)
        for code, words in REASON_WORDS.items()
    ]


@router.get("/roll-calls/{roll_call_id}/attestation-limits", responses=problem_responses(401, 403, 404, 422))
@with_names
async def get_attestation_limits(caller: StaffCaller, roll_call_id: UUID) -> AttestationLimitsOut:
    """现场核验名额（本人及各班） · How many students may be attested in this roll call, by oneself and in each class."""
    async with caller.transaction() as session:
        roll_call = await access_roll_call(session, caller.actor, roll_call_id, caller.at)
        limits = await load_attestation_limits(session, caller.actor, roll_call)
    return AttestationLimitsOut(
        own=AttestationLimitOut.of(limits.own) if limits.own else None,
        classes=[ClassAttestationLimitOut.of_class(*each) for each in limits.classes.items()],
    )


@router.get("/attestation-samples", responses=problem_responses(401, 403, 422))
@with_names
async def list_attestation_samples(
    caller: StaffCaller,
    state: ReviewState | None = None,
    roll_call_id: UUID | None = None,
    sort: SampleSort = "at",
    limit: Limit = 50,
    cursor: Cursor = None,
    *,
    total: WithTotal = False,
) -> CountedPage[AttestationSampleOut]:
    """抽中复核的现场核验（仅复核单位可见） · List the sampled attestations that you may review, oldest first."""
    async with caller.transaction() as session:
        page = await load_samples_page(
            session,
            caller.actor,
            SampleFilter(state, roll_call_id),
            PageRequest(limit, cursor, sort, total),
        )
    return page.render_counted(AttestationSampleOut.of)


@router.post(
    "/roll-calls/{roll_call_id}/attestations/{student_id}/review",
    status_code=201,
    responses=problem_responses(401, 403, 404, 409, 422),
)
@with_names
async def review_student_attestation(
    caller: StaffCaller, roll_call_id: UUID, student_id: UUID, body: ReviewIn
) -> ReviewOut:
    """复核现场核验（须由另一人） · Review an attestation; by a different person."""
    command = ReviewAttestation(roll_call_id, student_id, body.upheld, body.note)
    async with caller.transaction() as session:
        row = await review_attestation(session, caller.actor, command, caller.at)
    await publish_changed(caller.app_context.redis, roll_call_id)
    return ReviewOut(student_id=row.student_id, upheld=row.upheld, at=row.at)


@router.post(
    "/roll-calls/{roll_call_id}/determinations",
    status_code=201,
    responses=problem_responses(401, 403, 404, 409, 422),
)
@with_names
async def determine_student_outcome(
    caller: StaffCaller, roll_call_id: UUID, body: DetermineIn
) -> DeterminedOutcomeOut:
    """认定待定结果（须说明理由） · Determine an undetermined result; by the authority that launched the roll call."""
    command = DetermineOutcome(roll_call_id, body.student_id, Outcome(body.outcome), body.reason)
    async with caller.transaction() as session:
        row = await determine_outcome(session, caller.actor, command, caller.at)
    await publish_changed(caller.app_context.redis, roll_call_id)
    return DeterminedOutcomeOut(
        student_id=row.student_id,
        outcome=row.outcome,
        reason=row.reason,
        method=row.method,
        seq=row.seq,
        at=row.at,
    )
