"""Bulk acts of staff, with one result a row. Only acts that are not adverse to a person: the others are made one by one."""

from uuid import UUID

from fastapi import APIRouter

from backend.core.web.bulk_schemas import BulkOut
from backend.core.web.problems import problem_responses
from backend.people.counselors import assign_each_class
from backend.people.schemas import AssignmentsIn
from backend.roll_call.attestation.card_codes import issue_student_codes
from backend.roll_call.attestation.schemas import CardCodesIn, CardCodesOut
from backend.roll_call.reminders import remind_each_student
from backend.roll_call.staff_schemas import StudentRemindersIn
from backend.staff_api.caller import StaffCaller
from backend.standing.prompts.bulk_acts import acknowledge_dismissals, receive_prompts
from backend.standing.prompts.evidence_schemas import DismissalAcknowledgementsIn, PromptReceiptsIn

router = APIRouter(prefix="/v1", tags=["批量办理 · bulk acts"])


@router.post(
    "/roll-calls/{roll_call_id}/student-reminders",
    responses=problem_responses(401, 403, 404, 409, 422),
)
async def remind_single_students(
    caller: StaffCaller, roll_call_id: UUID, body: StudentRemindersIn
) -> BulkOut:
    """督促指定的学生（截止前） · Remind these students, until the close."""
    async with caller.transaction() as session:
        results = await remind_each_student(session, caller.actor, roll_call_id, body.student_ids, caller.at)
    return BulkOut.of(results)


@router.post("/counselor-assignments", responses=problem_responses(401, 403, 409, 422))
async def assign_counselors(caller: StaffCaller, body: AssignmentsIn) -> BulkOut:
    """批量分配辅导员（一行一个班级） · Assign classes to counselors; a row is a class."""
    counselor_by_class = {each.class_id: each.counselor_id for each in body.assignments}
    async with caller.transaction() as session:
        results = await assign_each_class(session, caller.actor, counselor_by_class, caller.at)
    return BulkOut.of(results)


@router.post("/card-codes", responses=problem_responses(401, 403, 409, 422))
async def issue_card_codes(caller: StaffCaller, body: CardCodesIn) -> CardCodesOut:
    """批量制发学生卡核验码（只显示一次） · Issue codes of students' cards; shown only once, the old ones stop working.

    请带 Idempotency-Key：重发时得到同样的核验码 · Send an Idempotency-Key, so that a repetition returns the same codes.
    """
    async with caller.transaction() as session:
        issued = await issue_student_codes(
            session, caller.actor, body.student_ids, caller.at, caller.app_context.keys
        )
    return CardCodesOut.of_codes(issued)


@router.post("/prompt-receipts", responses=problem_responses(401, 403, 409, 422))
async def acknowledge_prompts(caller: StaffCaller, body: PromptReceiptsIn) -> BulkOut:
    """批量签收提示（处理期限由此起算） · Confirm the receipt of prompts as the registrar; it starts the working days."""
    async with caller.transaction() as session:
        results = await receive_prompts(session, caller.actor, body.prompt_ids, caller.at)
    return BulkOut.of(results)


@router.post("/dismissal-acknowledgements", responses=problem_responses(401, 403, 409, 422))
async def accept_dismissals(caller: StaffCaller, body: DismissalAcknowledgementsIn) -> BulkOut:
    """批量同意撤销提示；不同意的逐件答复 · Accept dismissals as the superior; a refusal is answered one by one."""
    async with caller.transaction() as session:
        results = await acknowledge_dismissals(
            session, caller.actor, body.decision_ids, body.opinion, caller.at
        )
    return BulkOut.of(results)
