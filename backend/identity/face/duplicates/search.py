"""Compares templates with many others: at once within the school of an enrolment, and nightly within the province.

Templates are opened school by school, and compared outside any transaction. Only faces of students who agree to the
search are compared, on both sides.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import numpy as np
import structlog
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.app_context import AppContext
from backend.core.ids import new_id
from backend.core.tenancy import Scope
from backend.identity.consents import FACE_SEARCH, SEARCH_CONSENTS, has_granted
from backend.identity.face.duplicates.candidates import insert_candidates
from backend.identity.face.duplicates.pairs import Enrolled, Found
from backend.identity.face.duplicates.policy import SearchRules, find_search_rules
from backend.identity.face.duplicates.tables import DuplicateSearchRun
from backend.identity.face.templates import load_active_templates
from backend.identity.policy import province_policy
from backend.identity.tables import FaceEnrolment, FaceTemplateRecord
from backend.org.paths import build_unit_path
from backend.people.tables import Consent
from biometrics.engines.base import EngineKey
from biometrics.matching.decision import FaceTemplate
from biometrics.matching.duplicates import NearestFaces, Singles, TooFewFaces, to_directions

_MAX_QUERIES = 20_000
"""New templates of one nightly run; the next night goes on."""
_LATE_COMMITS = timedelta(minutes=10)
"""How far a run looks back before the end of the last one: a transaction may have committed after that run read."""

log = structlog.get_logger()


@dataclass(slots=True, eq=False)
class Faces:
    """Templates of one engine as unit vectors, one a row."""

    people: list[Enrolled] = field(default_factory=list)
    vectors: list[Singles] = field(default_factory=list)

    def matrix(self) -> Singles:
        return to_directions(self.vectors)


async def search_school(app_context: AppContext, school_id: UUID, student_id: UUID) -> int:
    """Compare a student's template with all others of the school. Returns the number of new candidates.

    The whole school is compared with itself to see which scores are rare there; only pairs of the student count.
    """
    at = app_context.clock()
    rules = find_search_rules(province_policy(app_context, at))
    if rules is None:
        return 0
    async with app_context.database.transaction(Scope.school(school_id)) as session:
        engine = await _find_engine(session, student_id)
        faces = Faces() if engine is None else await _load_faces(session, app_context, school_id, engine)
    own = [row for row, each in enumerate(faces.people) if each.student_id == student_id]
    if engine is None or not own:
        return 0
    matrix = faces.matrix()
    nearest = NearestFaces(matrix)
    await asyncio.to_thread(nearest.add, matrix, np.arange(len(matrix)))
    found = _rare(nearest, rules, len(matrix) * (len(matrix) - 1) // 2, faces.people, faces.people)
    found = [each for each in found if each.one.student_id == student_id]
    async with app_context.database.transaction(Scope.school(school_id)) as session:
        return await insert_candidates(session, str(engine), found, rules, at)


async def search_province(app_context: AppContext) -> int:
    """Compare templates that are newer than the last run with those of all other schools. Returns new candidates."""
    at = app_context.clock()
    rules = find_search_rules(province_policy(app_context, at))
    if rules is None:
        return 0
    province = build_unit_path("province", app_context.settings.province_code, None)
    async with app_context.database.transaction(Scope.wide(province)) as session:
        engines = await session.execute(
            select(FaceTemplateRecord.engine_id, FaceTemplateRecord.engine_version)
            .where(FaceTemplateRecord.status == "active")
            .distinct()
        )
        keys = [EngineKey(row.engine_id, row.engine_version) for row in engines]
    return sum([await _search_engine(app_context, province, engine, rules, at) for engine in keys])


async def _search_engine(
    app_context: AppContext, province: str, engine: EngineKey, rules: SearchRules, at: datetime
) -> int:
    async with app_context.database.transaction(Scope.wide(province)) as session:
        since = await _searched_until(session, province, engine)
        queries, until = await _load_new_faces(session, app_context, engine, since, at)
        schools = await session.scalars(
            select(FaceTemplateRecord.school_id)
            .where(*_is_active(engine))
            .distinct()
            .order_by(FaceTemplateRecord.school_id)
        )
        school_ids = schools.all()
    found: list[Found] = []
    compared = 0
    if queries.people:
        nearest = NearestFaces(queries.matrix())
        gallery: list[Enrolled] = []
        for school_id in school_ids:
            async with app_context.database.transaction(Scope.school(school_id)) as session:
                faces = await _load_faces(session, app_context, school_id, engine)
            if not faces.people:
                continue
            gallery += faces.people
            await asyncio.to_thread(nearest.add, faces.matrix(), _own_rows(queries.people, faces.people))
        found, compared = _rare(nearest, rules, nearest.compared, queries.people, gallery), nearest.compared
    async with app_context.database.transaction(Scope.wide(province)) as session:
        inserted = await insert_candidates(session, str(engine), found, rules, at)
        session.add(
            DuplicateSearchRun(
                id=new_id(),
                org_path=province,
                engine=str(engine),
                legal_basis=rules.legal_basis,
                searched_until=until,
                queries=len(queries.people),
                compared=compared,
                candidates=inserted,
                at=at,
            )
        )
    return inserted


def _own_rows(queries: Sequence[Enrolled], gallery: Sequence[Enrolled]) -> np.ndarray:
    """The row of each query in a gallery, or -1."""
    rows = {each.student_id: row for row, each in enumerate(gallery)}
    return np.array([rows.get(each.student_id, -1) for each in queries], dtype=np.int64)


def _rare(
    nearest: NearestFaces,
    rules: SearchRules,
    pairs: int,
    queries: Sequence[Enrolled],
    gallery: Sequence[Enrolled],
) -> list[Found]:
    """The pairs that strangers reach rarely, highest first; none where too few faces are enrolled to tell."""
    try:
        limit = nearest.rare_score(rules.false_pairs, max(pairs, 1))
    except TooFewFaces:
        return []
    return [
        Found(queries[pair.query], gallery[pair.face], pair.score, limit, nearest.compared)
        for pair in nearest.pairs_from(limit)
    ]


async def _find_engine(session: AsyncSession, student_id: UUID) -> EngineKey | None:
    row = (
        await session.execute(
            select(FaceTemplateRecord.engine_id, FaceTemplateRecord.engine_version).where(
                FaceTemplateRecord.student_id == student_id, FaceTemplateRecord.status == "active"
            )
        )
    ).one_or_none()
    return None if row is None else EngineKey(row.engine_id, row.engine_version)


def _is_active(engine: EngineKey) -> tuple[ColumnElement[bool], ...]:
    return (
        FaceTemplateRecord.status == "active",
        FaceTemplateRecord.engine_id == engine.id,
        FaceTemplateRecord.engine_version == engine.version,
        has_granted(FaceTemplateRecord.student_id.expression, *SEARCH_CONSENTS),
    )


async def _load_faces(
    session: AsyncSession, app_context: AppContext, school_id: UUID, engine: EngineKey
) -> Faces:
    rows = await session.execute(
        select(FaceTemplateRecord.student_id, FaceTemplateRecord.school_id, FaceTemplateRecord.enrolment_id)
        .where(FaceTemplateRecord.school_id == school_id, *_is_active(engine))
        .order_by(FaceTemplateRecord.student_id)
    )
    return await _open(session, app_context, [Enrolled(*row) for row in rows])


async def _load_new_faces(
    session: AsyncSession, app_context: AppContext, engine: EngineKey, since: datetime | None, at: datetime
) -> tuple[Faces, datetime]:
    """The faces to search since a run, oldest first, and the time up to which all were taken.

    A face is new when its enrolment was decided, or when its student agreed to the search. Faces of one instant are taken
    together. Some are searched twice, and their pairs are stored once.
    """
    agreed_at = (
        select(func.max(Consent.at))
        .where(
            Consent.student_id == FaceTemplateRecord.student_id,
            Consent.kind == FACE_SEARCH,
            Consent.granted,
        )
        .correlate(FaceTemplateRecord)
        .scalar_subquery()
    )
    new_at = func.greatest(FaceEnrolment.decided_at, FaceTemplateRecord.created_at, agreed_at)
    query = (
        select(
            FaceTemplateRecord.student_id,
            FaceTemplateRecord.school_id,
            FaceTemplateRecord.enrolment_id,
            new_at.label("new_at"),
        )
        .join(FaceEnrolment, FaceEnrolment.id == FaceTemplateRecord.enrolment_id)
        .where(*_is_active(engine), new_at <= at)
        .order_by(new_at)
        .fetch(_MAX_QUERIES, with_ties=True)
    )
    if since is not None:
        query = query.where(new_at > since)
    rows = (await session.execute(query)).all()
    complete = at - _LATE_COMMITS
    until = min(rows[-1].new_at, complete) if len(rows) >= _MAX_QUERIES else complete
    return await _open(session, app_context, [Enrolled(*row[:3]) for row in rows]), until


async def _open(session: AsyncSession, app_context: AppContext, people: Sequence[Enrolled]) -> Faces:
    """Decrypt the templates of these students; unreadable ones are left out."""
    templates = await load_active_templates(session, app_context.keys, [each.student_id for each in people])
    faces = Faces()
    for each in people:
        template = templates.get(each.student_id)
        if isinstance(template, FaceTemplate):
            faces.people.append(each)
            faces.vectors.append(template.mean)
        else:
            log.warning("template unreadable", student=str(each.student_id))
    return faces


async def _searched_until(session: AsyncSession, province: str, engine: EngineKey) -> datetime | None:
    return await session.scalar(
        select(func.max(DuplicateSearchRun.searched_until)).where(
            DuplicateSearchRun.org_path == province, DuplicateSearchRun.engine == str(engine)
        )
    )
