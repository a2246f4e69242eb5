"""Staff endpoints of the qualification of schools: licences, annual inspections, measures (MOE19-1.2)."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.clock import legal_day
from backend.core.listing.pages import CountedPage, PageRequest, WithTotal
from backend.core.pagination import Cursor, Limit
from backend.core.web.problems import problem_responses
from backend.registration.schools.queries import (
    InspectionState,
    QualificationSearch,
    QualificationSort,
    load_qualification,
    load_qualification_page,
)
from backend.registration.schools.schemas import (
    InspectionIn,
    InspectionStepIn,
    LicenceIn,
    LicenceRevocationIn,
    MeasureIn,
    QualificationFileOut,
    QualificationOut,
)
from backend.registration.schools.service import (
    record_inspection,
    record_licence,
    record_step,
    revoke_licence,
    take_measure,
)
from backend.staff_api.caller import StaffCaller
from backend.staff_api.pagination import SearchText, UnitFilter

router = APIRouter(prefix="/v1", tags=["办学资质 · qualifications"])

Year = Annotated[
    int | None,
    Query(ge=2000, le=2100, description="年检年度，默认今年 · year, by default this one", examples=[2026]),
]


@router.get("/school-qualifications", responses=problem_responses(401, 403, 404, 409, 422))
async def list_school_qualifications(
    caller: StaffCaller,
    year: Year = None,
    inspection: Annotated[
        InspectionState | None, Query(description="按年检结果筛选 · by the conclusion of the inspection")
    ] = None,
    unit_id: UnitFilter = None,
    q: SearchText = None,
    sort: QualificationSort = "code",
    limit: Limit = 50,
    cursor: Cursor = None,
    *,
    total: WithTotal = False,
) -> CountedPage[QualificationOut]:
    """各校办学资质与年检 · The schools of the own unit with licence, inspection and measure."""
    search = QualificationSearch(year or legal_day(caller.at).year, inspection, q, unit_id)
    async with caller.transaction() as session:
        page = await load_qualification_page(
            session, caller.actor, search, caller.at, PageRequest(limit, cursor, sort, total)
        )
    return page.render_counted(QualificationOut.of)


@router.get("/schools/{school_id}/qualification", responses=problem_responses(401, 403, 404, 409, 422))
async def get_school_qualification(caller: StaffCaller, school_id: UUID) -> QualificationFileOut:
    """一所学校的资质档案 · Everything on file about the qualification of a school."""
    async with caller.transaction() as session:
        return await _file(session, caller, school_id)


@router.post(
    "/schools/{school_id}/licences", status_code=201, responses=problem_responses(401, 403, 404, 409, 422)
)
async def create_licence(caller: StaffCaller, school_id: UUID, body: LicenceIn) -> QualificationFileOut:
    """登记办学资质 · Put a licence of a school below the own unit on file."""
    async with caller.transaction() as session:
        await record_licence(session, caller.actor, school_id, body.as_command(), caller.at)
        return await _file(session, caller, school_id)


@router.post(
    "/licences/{licence_id}/revocation", status_code=201, responses=problem_responses(401, 403, 404, 409, 422)
)
async def create_licence_revocation(
    caller: StaffCaller, licence_id: UUID, body: LicenceRevocationIn
) -> QualificationFileOut:
    """撤销办学资质 · Revoke a licence from a day on."""
    async with caller.transaction() as session:
        licence = await revoke_licence(
            session, caller.actor, licence_id, body.revoked_on, body.reasons, caller.at
        )
        return await _file(session, caller, licence.school_id)


@router.post(
    "/schools/{school_id}/inspections", status_code=201, responses=problem_responses(401, 403, 404, 409, 422)
)
async def create_inspection(caller: StaffCaller, school_id: UUID, body: InspectionIn) -> QualificationFileOut:
    """登记年检 · Put the annual inspection of a school on file."""
    async with caller.transaction() as session:
        await record_inspection(session, caller.actor, school_id, body.as_command(), caller.at)
        return await _file(session, caller, school_id)


@router.post(
    "/inspections/{inspection_id}/steps",
    status_code=201,
    responses=problem_responses(401, 403, 404, 409, 422),
)
async def create_inspection_step(
    caller: StaffCaller, inspection_id: UUID, body: InspectionStepIn
) -> QualificationFileOut:
    """登记年检公布或整改完成 · Record that an inspection was published, or that the school mended."""
    async with caller.transaction() as session:
        inspection = await record_step(session, caller.actor, inspection_id, body.as_command(), caller.at)
        return await _file(session, caller, inspection.school_id)


@router.post(
    "/schools/{school_id}/measures", status_code=201, responses=problem_responses(401, 403, 404, 409, 422)
)
async def create_school_measure(
    caller: StaffCaller, school_id: UUID, body: MeasureIn
) -> QualificationFileOut:
    """缩减计划、暂停注册、停止招生或解除 · Take a measure against a school, or lift the one in force."""
    async with caller.transaction() as session:
        await take_measure(session, caller.actor, school_id, body.as_command(), caller.at)
        return await _file(session, caller, school_id)


async def _file(session: AsyncSession, caller: StaffCaller, school_id: UUID) -> QualificationFileOut:
    return QualificationFileOut.of_file(await load_qualification(session, caller.actor, school_id, caller.at))
