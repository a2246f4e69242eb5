"""What a student's pictures are compared with: the own template, the population, and who is beside the student."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.keys import KeyRing
from backend.identity.face import policy as face_policy
from backend.identity.face.population import current_population
from backend.identity.face.templates import Templates, active_templates, class_templates, school_templates
from backend.policy import PolicyAt
from biometrics.engines.base import EngineKey
from biometrics.errors import BiometricsError
from biometrics.matching.decision import FaceTemplate, Method
from biometrics.matching.scoring import Population, Reference, Scoring

_CLASS_AT_MOST = 120
"""A class has some forty students; a mistaken one of thousands must not open thousands of templates."""
_COHORT_POOL = 300
"""Templates of a school among which the nearest are looked for."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """Whom pictures are said to show, under which law; with `class_id`, to be told from the classmates too."""

    student_id: UUID
    law: PolicyAt
    class_id: UUID | None = None


async def reference_of(
    session: AsyncSession,
    keys: KeyRing,
    student_id: UUID,
    law: PolicyAt,
    *,
    school_id: UUID,
    class_id: UUID | None = None,
) -> Reference | None:
    """None without a template. Raises TemplateUnreadable for altered rows, AbsentLaw for an engine without figures.

    `class_id` asks for the classmates too, where policy compares with them. Under a student's own scope nobody else's
    template is there: no classmates, and no cohort.
    """
    [found] = await references_of(session, keys, school_id, [Claimed(student_id, law, class_id)])
    if isinstance(found, BiometricsError):
        raise found
    return found


async def references_of(
    session: AsyncSession, keys: KeyRing, school_id: UUID, claimed: Sequence[Claimed]
) -> list[Reference | BiometricsError | None]:
    """The references of some students of one school, in their order; each as `reference_of` would find it, or why not.

    What several share is read once: the population, a class, the school's cohort. Raises AbsentLaw.
    """
    templates = await active_templates(session, keys, {each.student_id for each in claimed})
    found = [templates.get(each.student_id) for each in claimed]
    beside = _Beside(session, keys, school_id)
    with_rosters = [
        (template.engine, each.class_id)
        for each, template in zip(claimed, found, strict=True)
        if isinstance(template, FaceTemplate) and each.class_id is not None and _by_roster(each)
    ]
    await beside.read_classes(with_rosters)
    return [
        await beside.reference(each, template) if isinstance(template, FaceTemplate) else template
        for each, template in zip(claimed, found, strict=True)
    ]


def _by_roster(claimed: Claimed) -> bool:
    return claimed.law.flag("verification.face.roster_rule")


class _Beside:
    """What the students of a school share, each part read when it is first asked for."""

    def __init__(self, session: AsyncSession, keys: KeyRing, school_id: UUID) -> None:
        self._session, self._keys, self._school_id = session, keys, school_id
        self._populations: dict[tuple[EngineKey, int], Population] = {}
        self._classes: dict[tuple[EngineKey, UUID], Templates] = {}
        self._schools: dict[EngineKey, Templates] = {}

    async def read_classes(self, wanted: Sequence[tuple[EngineKey, UUID]]) -> None:
        for engine in {engine for engine, _ in wanted}:
            ids = {class_id for of, class_id in wanted if of == engine}
            rosters = await class_templates(
                self._session, self._keys, self._school_id, ids, engine, _CLASS_AT_MOST + 1
            )
            self._classes |= {(engine, class_id): rosters.get(class_id, {}) for class_id in ids}

    async def reference(self, claimed: Claimed, template: FaceTemplate) -> Reference | BiometricsError:
        engine = template.engine
        population = await self._population(engine, template.mean.size)
        try:
            scoring = face_policy.scoring(claimed.law, engine, population.version)
        except BiometricsError as error:
            return error
        roster, cohort = [], []
        if claimed.class_id is not None and _by_roster(claimed):
            roster = _others(self._classes[engine, claimed.class_id], claimed.student_id, _CLASS_AT_MOST)
        if scoring.method is Method.AS_NORM:
            cohort = _others(await self._school(engine), claimed.student_id, _COHORT_POOL)
            if len(cohort) < scoring.cohort_size:  # a small school must not be left unjudged for being small
                scoring, cohort = Scoring(Method.NEUTRAL), []
        return Reference(template, population, scoring, tuple(cohort), tuple(roster))

    async def _population(self, engine: EngineKey, dimension: int) -> Population:
        if (engine, dimension) not in self._populations:
            self._populations[engine, dimension] = await current_population(self._session, engine, dimension)
        return self._populations[engine, dimension]

    async def _school(self, engine: EngineKey) -> Templates:
        if engine not in self._schools:
            self._schools[engine] = await school_templates(
                self._session, self._keys, self._school_id, engine, _COHORT_POOL + 1
            )
        return self._schools[engine]


def _others(templates: Templates, student_id: UUID, at_most: int) -> list[FaceTemplate]:
    """One more was read than is compared with, so that leaving out the student's own leaves as many."""
    return list(islice((each for of, each in templates.items() if of != student_id), at_most))
