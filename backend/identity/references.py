"""What a student's pictures are compared with: the own template, the population, and who is beside the student."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.keys import KeyRing
from backend.identity import face_policy
from backend.identity.population import current_population
from backend.identity.templates import active_template, class_templates, school_templates
from backend.policy import PolicyAt
from biometrics.matching import Method
from biometrics.scoring import Reference, Scoring

_CLASS_AT_MOST = 120
"""A class has some forty students; a mistaken one of thousands must not open thousands of templates."""
_COHORT_POOL = 300
"""Templates of a school among which the nearest are looked for."""


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
    template = await active_template(session, keys, student_id)
    if template is None:
        return None
    engine = template.engine
    population = await current_population(session, engine, template.mean.size)
    scoring = face_policy.scoring(law, engine, population.version)
    roster, cohort = [], []
    if class_id is not None and law.flag("verification.face.roster_rule"):
        roster = await class_templates(session, keys, class_id, engine, _CLASS_AT_MOST, but_not=student_id)
    if scoring.method is Method.AS_NORM:
        cohort = await school_templates(session, keys, school_id, engine, _COHORT_POOL, but_not=student_id)
        if len(cohort) < scoring.cohort_size:  # a small school must not be left unjudged for being small
            scoring, cohort = Scoring(Method.NEUTRAL), []
    return Reference(template, population, scoring, tuple(cohort), tuple(roster))
