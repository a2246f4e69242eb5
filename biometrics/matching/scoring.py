"""Similarity scores: a mean-centred cosine, optionally normalised against a cohort.

A network trained on a diverse crowd maps the members of a homogeneous population close together, because what they have
in common does not identify them. Subtracting the full population mean helps a homogeneous population and hurts a diverse
one, and a mean learned from few people hurts both. Subtracting half of it kept the gain in the former and lost little in
the latter (docs/biometrics.md has the figures). The share, and whether scores are normalised, are policy values per engine.

Adaptive score normalisation (AS-norm): Cumani et al., "Comparison of speaker recognition approaches for real
applications", Interspeech 2011 (top-k of the cohort). The roster rule uses that only one member of a class can be the
nearest to a picture.
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
_EPSILON = 1e-9
"""Below this length a vector has no direction; below this standard deviation a cohort has no spread."""


class PopulationTooSmall(BiometricsError):
    """A mean of few people describes those people, not a population."""

    code = "face_population_too_small"
    status = 422
    zh = "只有 {people} 份人脸模板，至少需要 {needed} 份才能统计本单位人群。请待更多学生完成采集后再试。"
    en = "There are only {people} templates; a population is learned from {needed}. Wait for more enrolments."


class CohortTooSmall(BiometricsError):
    """The cohort is too small to normalise a score."""

    code = "face_cohort_too_small"
    status = 422
    zh = "用于分数归一化的同校模板只有 {people} 份，至少需要 {needed} 份。"
    en = "Only {people} templates of the school are there to normalise the score with; {needed} are needed."


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """The mean descriptor of a deployment's enrolled people, for one engine. Version 0 is the origin."""

    engine: EngineKey
    version: int
    centre: Vector
    people: int


@dataclass(frozen=True, slots=True)
class ScoringConfig:
    """A scoring method with its parameters. `weight` is the share of the mean to subtract, 0 to 1."""

    method: Method
    weight: float = 0.0
    cohort_size: int = 0
    """How many of the nearest cohort templates normalise a score; 0 for all. A smaller cohort raises CohortTooSmall."""

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 1 or self.cohort_size < 0:
            raise ValueError(f"invalid scoring: weight {self.weight}, cohort {self.cohort_size}")

    def __str__(self) -> str:
        return self.method.value if self.method is Method.NEUTRAL else f"{self.method.value} {self.weight:g}"


@dataclass(frozen=True, slots=True, eq=False)
class MatchReference:
    """Everything a probe is compared with: the claimed template, the population, and templates of other people."""

    template: FaceTemplate
    population: Population
    scoring: ScoringConfig
    cohort: tuple[FaceTemplate, ...] = ()
    """Templates of the same school, without the claimed person's; only for AS-norm."""
    roster: tuple[FaceTemplate, ...] = ()
    """Templates of the same class, without the claimed person's."""


@dataclass(frozen=True, slots=True)
class Score:
    """A similarity score, larger is closer, and how it was computed."""

    value: float
    method: Method
    population_version: int
    nearer_in_roster: int
    """How many classmates are closer to the probe than the claimed person; 0 if none were compared."""


def neutral_population(engine: EngineKey, dimension: int) -> Population:
    """The population of a new deployment: a mean at the origin, so that nothing is subtracted."""
    return Population(engine, NEUTRAL_VERSION, np.zeros(dimension, dtype=np.float32), 0)


def learn_population(templates: Sequence[FaceTemplate], version: int, needed: int) -> Population:
    """The mean of one engine's templates. Raises PopulationTooSmall or EngineMismatch."""
    if len(templates) < max(1, needed):
        raise PopulationTooSmall(people=len(templates), needed=needed)
    return Population(
        templates[0].engine, version, _stack_means(templates).mean(axis=0).astype(np.float32), len(templates)
    )


def score(reference: MatchReference, probe: Descriptor) -> Score:
    """Score a probe against the claimed person. Raises EngineMismatch or CohortTooSmall."""
    scoring, population = reference.scoring, reference.population
    require_same_engine(reference.template.engine, probe.engine)
    require_same_engine(population.engine, probe.engine)
    claimed = centre_vectors(reference.template.mean[None, :], population, scoring)
    seen = centre_vectors(probe.vector[None, :], population, scoring)
    value = float((claimed @ seen.T).item())
    nearer = 0
    if reference.roster:
        classmates = (
            centre_vectors(_stack_means(reference.roster, probe.engine), population, scoring) @ seen[0]
        )
        nearer = int((classmates > value).sum())
    if scoring.method is Method.AS_NORM:
        cohort = centre_vectors(_stack_means(reference.cohort, probe.engine), population, scoring)
        value = float(normalise_scores(np.array([value]), claimed, seen, cohort, scoring.cohort_size).item())
    return Score(value, scoring.method, population.version, nearer)


def normalise_scores(scores: Vectors, one: Vectors, other: Vectors, cohort: Vectors, nearest: int) -> Vectors:
    """AS-norm: standard deviations above the `nearest` of the cohort, averaged over both sides.

    `scores[i]` compares row i of `one` with row i of `other`. These and the cohort are unit vectors from `centre_vectors`.
    """
    if len(cohort) < max(2, nearest):
        raise CohortTooSmall(people=len(cohort), needed=max(2, nearest))
    views = []
    for side in (one, other):
        close = np.sort(side @ cohort.T, axis=1)[:, -nearest:]
        views.append((scores - close.mean(axis=1)) / np.maximum(close.std(axis=1), _EPSILON))
    averaged: Vectors = (views[0] + views[1]) / 2
    return averaged


def centre_vectors(
    vectors: npt.NDArray[np.floating], population: Population, scoring: ScoringConfig
) -> Vectors:
    """Subtract the method's share of the population mean and scale to unit length."""
    weight = 0.0 if scoring.method is Method.NEUTRAL else scoring.weight
    moved = vectors.astype(np.float64) - weight * population.centre.astype(np.float64)
    directions: Vectors = moved / np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), _EPSILON)
    return directions


def _stack_means(templates: Sequence[FaceTemplate], engine: EngineKey | None = None) -> Vectors:
    for template in templates:
        require_same_engine(engine or templates[0].engine, template.engine)
    if not templates:
        return np.zeros((0, 1))
    return np.stack([template.mean for template in templates]).astype(np.float64)
