"""A change of engine: templates are made again from the enrolment shots that are still stored."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import select, text

from backend.core.database import Database
from backend.core.tenancy import Scope
from backend.demo.phone import Phone
from backend.identity.face.pool import face_pool
from backend.identity.face.reembedding import Reembedding, StoredShots, load_all_to_reembed, reembed
from backend.identity.face.selfie_fingerprints import load_selfie_fingerprints
from backend.identity.face.templates import load_active_template
from backend.identity.tables import FaceEnrolment, FaceTemplateRecord
from biometrics.engines.base import (
    Descriptor,
    DetectedFace,
    EmbeddingUse,
    EngineInfo,
    EngineKey,
    EngineSet,
)
from biometrics.engines.test_pattern import PatternEngine
from biometrics.errors import EngineUnavailable
from biometrics.pictures.decoding import Picture
from biometrics.tasks import EnrolmentResult, FaceRules, Shot
from tests.identity.test_activation import VERSIONS, PoolInProcess, enrol
from tests.support.identity.scenario import IdentityScenario

NEXT = EngineKey("test-pattern", "2")


class NextPatternEngine(PatternEngine):
    """The test engine in a later version."""

    def info(self) -> EngineInfo:
        return replace(super().info(), key=NEXT)

    def embed(
        self,
        faces: Sequence[tuple[Picture, DetectedFace]],
        *,
        use: EmbeddingUse = EmbeddingUse.TEMPLATE,
    ) -> list[Descriptor]:
        return [replace(each, engine=NEXT) for each in super().embed(faces, use=use)]


class NextPool(PoolInProcess):
    """The pool after the change: the new engine enrols, the old one still judges."""

    def __init__(self) -> None:
        super().__init__()
        self.engines = EngineSet([NextPatternEngine(), PatternEngine()])


class RefusingPool(NextPool):
    async def enrol(self, shots: Sequence[Shot], rules: FaceRules) -> EnrolmentResult:
        raise EngineUnavailable(engine=str(NEXT), reason="for a test")


async def enrolled(scenario: IdentityScenario) -> Phone:
    scenario.app_context.services[face_pool] = PoolInProcess()
    return await enrol(scenario, scenario.school.students[0])


async def work(scenario: IdentityScenario, school_id: UUID | None = None) -> list[StoredShots]:
    return await load_all_to_reembed(
        scenario.app_context, Scope.school(scenario.school.id), school_id or scenario.school.id
    )


async def templates(scenario: IdentityScenario) -> list[tuple[str, str, bool]]:
    """Version of the engine, status, and whether there is content, oldest first."""
    async with scenario.app_context.database.transaction(Scope.school(scenario.school.id)) as session:
        rows = await session.scalars(
            select(FaceTemplateRecord)
            .where(FaceTemplateRecord.student_id == scenario.school.students[0].id)
            .order_by(FaceTemplateRecord.created_at)
        )
        return [(row.engine_version, row.status, bool(row.sealed)) for row in rows]


@pytest.mark.clause("HN334-3.1")
async def test_kept_shots_make_a_template_for_the_new_engine(
    scenario: IdentityScenario, owner: Database
) -> None:
    await enrolled(scenario)
    scenario.app_context.services[face_pool] = NextPool()
    (stored,) = await work(scenario)
    assert stored.engine == EngineKey("test-pattern", "1")
    assert await reembed(scenario.app_context, stored) is Reembedding.DONE
    assert await templates(scenario) == [("1", "replaced", False), ("2", "active", True)]
    student = scenario.school.students[0]
    async with scenario.app_context.database.transaction(
        Scope.student(student.school_id, student.id)
    ) as session:
        template = await load_active_template(session, scenario.app_context.keys, student.id)
        fingerprints = await load_selfie_fingerprints(session, scenario.app_context.keys, [student.id])
        enrolment = await session.get_one(FaceEnrolment, stored.ref.enrolment_id)
    assert template is not None
    assert (template.engine, template.shots) == (NEXT, 3)
    assert [each.descriptor.engine for each in fingerprints[student.id]] == [NEXT]
    assert (enrolment.status, enrolment.engine) == ("accepted", str(NEXT))
    async with owner.transaction(Scope.none()) as session:
        entry = text(
            "SELECT before, after FROM audit_entry WHERE action = 'face_template.reembed' AND subject_id = :id"
        )
        ((before, after),) = await session.execute(entry, {"id": str(student.id)})
    assert (before, after) == ({"engine": "test-pattern/1"}, {"engine": "test-pattern/2"})


async def test_second_run_finds_nothing_left(scenario: IdentityScenario) -> None:
    await enrolled(scenario)
    scenario.app_context.services[face_pool] = NextPool()
    (stored,) = await work(scenario)
    await reembed(scenario.app_context, stored)
    assert await work(scenario) == []
    assert await reembed(scenario.app_context, stored) is Reembedding.CHANGED
    assert len(await templates(scenario)) == 2


async def test_way_back_to_the_earlier_engine(scenario: IdentityScenario) -> None:
    await enrolled(scenario)
    for pool in (NextPool(), PoolInProcess()):
        scenario.app_context.services[face_pool] = pool
        (stored,) = await work(scenario)
        assert await reembed(scenario.app_context, stored) is Reembedding.DONE
    assert [status for _, status, _ in await templates(scenario)] == ["replaced", "replaced", "active"]


async def test_shots_that_make_no_template_keep_the_old_one(scenario: IdentityScenario) -> None:
    await enrolled(scenario)
    scenario.app_context.services[face_pool] = RefusingPool()
    (stored,) = await work(scenario)
    assert await reembed(scenario.app_context, stored) is Reembedding.REFUSED
    assert await templates(scenario) == [("1", "active", True)]


async def test_deleted_shots_are_not_used(scenario: IdentityScenario) -> None:
    await enrolled(scenario)
    scenario.app_context.services[face_pool] = NextPool()
    (stored,) = await work(scenario)
    async with scenario.app_context.database.transaction(Scope.school(scenario.school.id)) as session:
        enrolment = await session.get_one(FaceEnrolment, stored.ref.enrolment_id)
        enrolment.shots_deleted_at = scenario.clock()
    assert await work(scenario) == []
    assert await reembed(scenario.app_context, stored) is Reembedding.SHOTS_GONE
    assert await templates(scenario) == [("1", "active", True)]


async def test_template_that_was_shredded_meanwhile_is_not_made_again(scenario: IdentityScenario) -> None:
    phone = await enrolled(scenario)
    scenario.app_context.services[face_pool] = NextPool()
    (stored,) = await work(scenario)
    answer = await phone.consent("face_use", VERSIONS["face_use"], granted=False)
    assert answer.status_code == 201
    assert await reembed(scenario.app_context, stored) is not Reembedding.DONE
    assert [status for _, status, _ in await templates(scenario)] == ["shredded"]
