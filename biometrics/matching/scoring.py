"""How close two faces are, as a deployment counts it: a cosine after part of the population's mean is taken away.

A network trained on a mixed crowd puts the members of a homogeneous one close together: what they share says nothing
about who they are. Taking the whole mean away helps a homogeneous population and hurts a mixed one, and a mean learned
from few people hurts both; taking half of it away kept what it gained in the one and lost little in the other
(docs/biometrics.md has the figures). How much is taken, and whether the score is then normalised against a cohort, is
policy that `dianming face calibrate` finds for a deployment from its own enrolments.

Adaptive score normalisation: Cumani et al., "Comparison of speaker recognition approaches for real applications",
Interspeech 2011 (top-k of the cohort); the roster rule: a class has one nearest member to every picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from biometrics.engines.base import Descriptor, EngineKey, Vector, require_same_engine
from biometrics.errors import BiometricsError
from biometrics.matching.decision import FaceTemplate, Method

Vectors = npt.NDArray[np.float64]
"""Several descriptors, shape (people, dimension), or scores, shape (people,)."""

NEUTRAL_VERSION = 0
_FLAT = 1e-9
"""A length below which a vector has no direction, and a spread below which there is none."""


class PopulationTooSmall(BiometricsError):
    """A mean of few people says more about them than about a population."""

    code = "face_population_too_small"
    status = 422
    zh = "只有 {people} 份人脸模板，至少需要 {needed} 份才能统计本单位人群。请待更多学生完成采集后再试。"
    en = "There are only {people} templates; a population is learned from {needed}. Wait for more enrolments."


class CohortTooSmall(BiometricsError):
    """A score cannot be normalised against nobody."""

    code = "face_cohort_too_small"
    status = 422
    zh = "用于分数归一化的同校模板只有 {people} 份，至少需要 {needed} 份。"
    en = "Only {people} templates of the school are there to normalise the score with; {needed} are needed."


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """The mean of the people that a deployment has enrolled, by one engine. Version 0 is the neutral origin."""

    engine: EngineKey
    version: int
    centre: Vector
    people: int


@dataclass(frozen=True, slots=True)
class Scoring:
    """A method with its figures; `weight` is the share of the mean that is taken away, 0 to 1."""

    method: Method
    weight: float = 0.0
    cohort_size: int = 0
    """The nearest of the cohort that a score is normalised with; also how many there must be."""

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 1 or self.cohort_size < 0:
            raise ValueError(f"no scoring: weight {self.weight}, cohort {self.cohort_size}")

    def __str__(self) -> str:
        return self.method.value if self.method is Method.NEUTRAL else f"{self.method.value} {self.weight:g}"


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """What a burst is compared with: the claimed person's template, the population, and people beside them."""

    template: FaceTemplate
    population: Population
    scoring: Scoring
    cohort: tuple[FaceTemplate, ...] = ()
    """Templates of the same school, the claimed person's left out."""
    roster: tuple[FaceTemplate, ...] = ()
    """Templates of the same class, the claimed person's left out."""


@dataclass(frozen=True, slots=True)
class Score:
    """How close, larger is closer, and how it was counted."""

    value: float
    method: Method
    population_version: int
    nearer_in_roster: int
    """How many of the class lie closer to the picture than the claimed person does."""


def neutral(engine: EngineKey, dimension: int) -> Population:
    """The origin: nothing is taken away. What every engine ships with."""
    return Population(engine, NEUTRAL_VERSION, np.zeros(dimension, dtype=np.float32), 0)


def learn(templates: Sequence[FaceTemplate], version: int, needed: int) -> Population:
    """The mean of one engine's templates; raises PopulationTooSmall or EngineMismatch."""
    if len(templates) < max(1, needed):
        raise PopulationTooSmall(people=len(templates), needed=needed)
    return Population(
        templates[0].engine, version, _stacked(templates).mean(axis=0).astype(np.float32), len(templates)
    )


def score(reference: Reference, probe: Descriptor) -> Score:
    """How close a probe is to the claimed person; raises EngineMismatch or CohortTooSmall."""
    scoring, population = reference.scoring, reference.population
    require_same_engine(reference.template.engine, probe.engine)
    require_same_engine(population.engine, probe.engine)
    claimed = towards(reference.template.mean[None, :], population, scoring)
    seen = towards(probe.vector[None, :], population, scoring)
    value = float((claimed @ seen.T).item())
    nearer = 0
    if reference.roster:
        classmates = towards(_stacked(reference.roster, probe.engine), population, scoring) @ seen[0]
        nearer = int((classmates > value).sum())
    if scoring.method is Method.AS_NORM:
        cohort = towards(_stacked(reference.cohort, probe.engine), population, scoring)
        value = float(normalised(np.array([value]), claimed, seen, cohort, scoring.cohort_size).item())
    return Score(value, scoring.method, population.version, nearer)


def normalised(scores: Vectors, one: Vectors, other: Vectors, cohort: Vectors, nearest: int) -> Vectors:
    """Scores in standard deviations above the `nearest` of the cohort, the mean of both sides' view.

    Row i of `one` and row i of `other` are the directions (`towards`) that `scores[i]` compares; the cohort's are
    directions too.
    """
    if len(cohort) < max(2, nearest):
        raise CohortTooSmall(people=len(cohort), needed=max(2, nearest))
    views = []
    for side in (one, other):
        close = np.sort(side @ cohort.T, axis=1)[:, -nearest:]
        views.append((scores - close.mean(axis=1)) / np.maximum(close.std(axis=1), _FLAT))
    averaged: Vectors = (views[0] + views[1]) / 2
    return averaged


def towards(vectors: npt.NDArray[np.floating], population: Population, scoring: Scoring) -> Vectors:
    """Unit vectors from the part of the centre that the method takes away; the neutral method takes none."""
    weight = 0.0 if scoring.method is Method.NEUTRAL else scoring.weight
    moved = vectors.astype(np.float64) - weight * population.centre.astype(np.float64)
    directions: Vectors = moved / np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), _FLAT)
    return directions


def _stacked(templates: Sequence[FaceTemplate], engine: EngineKey | None = None) -> Vectors:
    for template in templates:
        require_same_engine(engine or templates[0].engine, template.engine)
    if not templates:
        return np.zeros((0, 1))
    return np.stack([template.mean for template in templates]).astype(np.float64)
