"""References for face matching: a student's template, the population mean, and templates of other students."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.keys import KeyRing
from backend.identity.face import policy as face_policy
from backend.identity.face.calibration.versions import load_in_force
from backend.identity.face.population import load_current_population, load_population
from backend.identity.face.templates import (
    TemplatesByStudent,
    load_active_templates,
    load_class_templates,
    load_school_templates,
)
from backend.policy import PolicyAt
from biometrics.engines.base import EngineKey
from biometrics.errors import BiometricsError
from biometrics.matching.decision import FaceTemplate, Method
from biometrics.matching.scoring import MatchReference, Population, ScoringConfig

_MAX_CLASSMATES = 120
"""A class has some forty students; a class of thousands by mistake must not decrypt thousands of templates."""
_MAX_COHORT_CANDIDATES = 300
"""How many of a school's templates are searched for the nearest ones, which form the cohort."""


@dataclass(frozen=True, slots=True)
class ReferenceRequest:
    """A student whose pictures are to be matched, under a policy; with `class_id`, compared with classmates too."""

    student_id: UUID
    policy: PolicyAt
    class_id: UUID | None = None


async def load_reference(
    session: AsyncSession,
    keys: KeyRing,
    student_id: UUID,
    policy: PolicyAt,
    *,
    school_id: UUID,
    class_id: UUID | None = None,
) -> MatchReference | None:
    """The reference of one student; None without a template.

    With `class_id`, classmates are included if policy compares with them. Under a student's own scope no other
    templates are visible, so there are no classmates and no cohort. Raises `TemplateUnreadable` for altered rows and
    `AbsentLaw` for an engine without thresholds.
    """
    [reference] = await load_references(
        session, keys, school_id, [ReferenceRequest(student_id, policy, class_id)]
    )
    if isinstance(reference, BiometricsError):
        raise reference
    return reference


async def load_references(
    session: AsyncSession, keys: KeyRing, school_id: UUID, requests: Sequence[ReferenceRequest]
) -> list[MatchReference | BiometricsError | None]:
    """The references of some students of one school, in the same order; the error in place of an unreadable one.

    The population, the classes and the school's cohort are read once for all of them. Raises `AbsentLaw`.
    """
    by_student = await load_active_templates(session, keys, {each.student_id for each in requests})
    templates = [by_student.get(each.student_id) for each in requests]
    shared = _SharedTemplates(session, keys, school_id)
    engine_classes = [
        (template.engine, each.class_id)
        for each, template in zip(requests, templates, strict=True)
        if isinstance(template, FaceTemplate)
        and each.class_id is not None
        and _compares_with_classmates(each)
    ]
    await shared.read_classes(engine_classes)
    return [
        await shared.reference(each, template) if isinstance(template, FaceTemplate) else template
        for each, template in zip(requests, templates, strict=True)
    ]


def _compares_with_classmates(request: ReferenceRequest) -> bool:
    return request.policy.flag("verification.face.roster_rule")


class _SharedTemplates:
    """The populations and templates that the students of a school share, each read at its first use."""

    def __init__(self, session: AsyncSession, keys: KeyRing, school_id: UUID) -> None:
        self._session, self._keys, self._school_id = session, keys, school_id
        self._populations: dict[tuple[EngineKey, int], Population] = {}
        self._classes: dict[tuple[EngineKey, UUID], TemplatesByStudent] = {}
        self._schools: dict[EngineKey, TemplatesByStudent] = {}

    async def read_classes(self, engine_classes: Sequence[tuple[EngineKey, UUID]]) -> None:
        for engine in {engine for engine, _ in engine_classes}:
            ids = {class_id for made_by, class_id in engine_classes if made_by == engine}
            rosters = await load_class_templates(
                self._session, self._keys, self._school_id, ids, engine, _MAX_CLASSMATES + 1
            )
            self._classes |= {(engine, class_id): rosters.get(class_id, {}) for class_id in ids}

    async def reference(
        self, request: ReferenceRequest, template: FaceTemplate
    ) -> MatchReference | BiometricsError:
        engine = template.engine
        population = await self._load_population(engine, template.mean.size)
        try:
            scoring = face_policy.scoring(request.policy, engine, population.version)
        except BiometricsError as error:
            return error
        roster, cohort = [], []
        if request.class_id is not None and _compares_with_classmates(request):
            roster = _other_templates(
                self._classes[engine, request.class_id], request.student_id, _MAX_CLASSMATES
            )
        if scoring.method is Method.AS_NORM:
            cohort = _other_templates(
                await self._load_school(engine), request.student_id, _MAX_COHORT_CANDIDATES
            )
            if len(cohort) < scoring.cohort_size:  # a small school is scored without a cohort
                scoring, cohort = ScoringConfig(Method.NEUTRAL), []
        return MatchReference(template, population, scoring, tuple(cohort), tuple(roster))

    async def _load_population(self, engine: EngineKey, dimension: int) -> Population:
        """The population that the thresholds in force were learned with; without thresholds, the newest."""
        if (engine, dimension) not in self._populations:
            version = await load_in_force(self._session, engine)
            if version is None:
                population = await load_current_population(self._session, engine, dimension)
            else:
                population = await load_population(
                    self._session, engine, version.population_version, dimension
                )
            self._populations[engine, dimension] = population
        return self._populations[engine, dimension]

    async def _load_school(self, engine: EngineKey) -> TemplatesByStudent:
        if engine not in self._schools:
            self._schools[engine] = await load_school_templates(
                self._session, self._keys, self._school_id, engine, _MAX_COHORT_CANDIDATES + 1
            )
        return self._schools[engine]


def _other_templates(templates: TemplatesByStudent, student_id: UUID, limit: int) -> list[FaceTemplate]:
    """At most `limit` templates without the student's own; callers load one more than the limit."""
    return list(islice((each for owner_id, each in templates.items() if owner_id != student_id), limit))
