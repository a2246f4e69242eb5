"""Which method tells the people of a deployment apart best, and where its thresholds lie: measured, not assumed.

Everything is identity-disjoint: in each of many rounds the people are split in two halves; the centre and the cohort
come from one, and only comparisons inside the other are scored. Rates are reported as ISO/IEC 19795-1 names them: the
false match rate (FMR) over comparisons of different people, the true accept rate (TAR) over comparisons of one person.
Intervals come from resampling people, not comparisons: pictures of one person are not independent.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from biometrics.engines.base import EngineKey
from biometrics.matching.decision import Method
from biometrics.matching.scoring import Population, Scoring, Vectors, normalised, towards

Ints = npt.NDArray[np.int64]

CANDIDATES = (
    Scoring(Method.NEUTRAL),
    *(Scoring(Method.CENTRED, weight) for weight in (0.25, 0.5, 0.75, 1.0)),
    Scoring(Method.AS_NORM, 0.0, 30),
    Scoring(Method.AS_NORM, 0.5, 30),
)
"""From the simplest on: of two that do equally well the earlier is chosen."""
_RESAMPLES = 200
_POOLED = 100_000
"""Comparisons over all rounds, about: few comparisons need many rounds, many need few."""
_ROUNDS = range(4, 60)
_LEAST_COHORT = 4
"""People without whom a cohort has no spread worth the name."""
_AS_GOOD = 0.01
"""A TAR so close to the best is no reason for a less simple method."""


@dataclass(frozen=True, slots=True, eq=False)
class Comparisons:
    """What is compared with what: row i of `left` with row i of `right`, of the people named by number."""

    left: Vectors
    right: Vectors
    left_person: Ints
    right_person: Ints

    def where(self, chosen: npt.NDArray[np.bool_]) -> "Comparisons":
        """Some of the rows."""
        return Comparisons(
            self.left[chosen], self.right[chosen], self.left_person[chosen], self.right_person[chosen]
        )


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Scores of comparisons, pooled over the rounds, with whom they are of."""

    value: Vectors
    left_person: Ints
    right_person: Ints

    @property
    def genuine(self) -> Vectors:
        scores: Vectors = self.value[self.left_person == self.right_person]
        return scores

    @property
    def impostor(self) -> Vectors:
        scores: Vectors = self.value[self.left_person != self.right_person]
        return scores


@dataclass(frozen=True, slots=True)
class Rate:
    """The TAR at one FMR, with the interval of 95 % and the threshold; scores at or above it are accepted."""

    fmr: float
    tar: float
    low: float
    high: float
    threshold: float


def means_by_person(vectors: Vectors, person: Ints) -> tuple[Vectors, Ints]:
    """One vector for each person, the mean of theirs: what a template is."""
    people = np.unique(person)
    return np.stack([vectors[person == each].mean(axis=0) for each in people]), people


def shots_against_templates(vectors: Vectors, person: Ints, most: int, *, seed: int = 1) -> Comparisons:
    """Each vector with the mean of its person's others, and with templates of other people, `most` of those in all."""
    templates, people = means_by_person(vectors, person)
    owner = np.searchsorted(people, person)
    count = np.bincount(owner)
    several = np.flatnonzero(count[owner] > 1)
    total = templates[owner[several]] * count[owner[several], None]
    rests = (total - vectors[several]) / (count[owner[several], None] - 1)
    random = np.random.default_rng(seed)
    drawn = random.choice(len(vectors) * len(people), min(most, len(vectors) * len(people)), replace=False)
    seen, claimed = drawn // len(people), drawn % len(people)
    strange = claimed != owner[seen]
    seen, claimed = seen[strange], claimed[strange]
    return Comparisons(
        np.concatenate([rests, templates[claimed]]),
        np.concatenate([vectors[several], vectors[seen]]),
        np.concatenate([person[several], people[claimed]]),
        np.concatenate([person[several], person[seen]]),
    )


Scorer = Callable[[Comparisons, Vectors, Ints], Vectors]
"""Scores of comparisons, larger is closer, given the vectors and persons that may be learned from."""


def by(scoring: Scoring) -> Scorer:
    """The product's own way of scoring, its population learned from the persons' means."""

    def scorer(comparisons: Comparisons, vectors: Vectors, person: Ints) -> Vectors:
        templates, people = means_by_person(vectors, person)
        population = Population(_ANY, 1, templates.mean(axis=0).astype(np.float32), len(people))
        left = towards(comparisons.left, population, scoring)
        right = towards(comparisons.right, population, scoring)
        cosine: Vectors = np.einsum("ij,ij->i", left, right)
        if scoring.method is not Method.AS_NORM:
            return cosine
        nearest = min(scoring.cohort_size, len(templates))
        return normalised(cosine, left, right, towards(templates, population, scoring), nearest)

    return scorer


def scored_disjoint(
    comparisons: Comparisons,
    samples: tuple[Vectors, Ints],
    scorer: Scorer,
    *,
    seed: int = 1,
    rounds: int | None = None,
) -> Scored:
    """Scores of each round's comparisons between people of whom nothing was learned in that round.

    `samples` are the vectors that may be learned from, with their persons.
    """
    vectors, person = samples
    people = np.unique(person)
    random = np.random.default_rng(seed)
    parts = []
    # Half the people are apart, so that a round scores about a quarter of the comparisons.
    wanted = min(_ROUNDS[-1], max(_ROUNDS[0], 4 * _POOLED // max(1, len(comparisons.left))))
    for _ in range(rounds or wanted):
        learned = np.isin(person, random.permutation(people)[: len(people) // 2])
        apart = np.setdiff1d(people, person[learned])
        some = comparisons.where(
            np.isin(comparisons.left_person, apart) & np.isin(comparisons.right_person, apart)
        )
        values = scorer(some, vectors[learned], person[learned])
        parts.append(Scored(values, some.left_person, some.right_person))
    return Scored(*(np.concatenate([getattr(part, name) for part in parts]) for name in _FIELDS))


_ANY = EngineKey("calibration", "")
_FIELDS = ("value", "left_person", "right_person")


def rate(scored: Scored, fmr: float, *, seed: int = 1, resamples: int = _RESAMPLES) -> Rate:
    """The TAR where at most the share `fmr` of different people is accepted, with its interval over people."""
    people = np.unique(np.concatenate([scored.left_person, scored.right_person]))
    left, right = (np.searchsorted(people, side) for side in (scored.left_person, scored.right_person))
    genuine, own = scored.value[left == right], left[left == right]
    order = np.argsort(-scored.value[left != right], kind="stable")
    descending = scored.value[left != right][order]
    one, other = left[left != right][order], right[left != right][order]
    threshold = _threshold(descending, np.ones(len(descending)), fmr)
    random = np.random.default_rng(seed)
    found = []
    for _ in range(resamples):
        drawn = np.bincount(random.integers(0, len(people), len(people)), minlength=len(people)).astype(float)
        at = _threshold(descending, drawn[one] * drawn[other], fmr)
        if drawn[own].sum():
            found.append(float(np.average(genuine >= at, weights=drawn[own])))
    low, high = np.quantile(found, (0.025, 0.975)) if found else (0.0, 1.0)
    return Rate(fmr, float((genuine >= threshold).mean()), float(low), float(high), threshold)


def _threshold(descending: Vectors, weights: Vectors, fmr: float) -> float:
    """Just above the first impostor that the allowed share has no room for."""
    if not len(descending):
        return -np.inf
    filled = np.cumsum(weights) > fmr * weights.sum()
    refused = descending[int(np.argmax(filled))] if filled.any() else descending[-1]
    return float(np.nextafter(refused, np.inf))


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A method with its scores and rates."""

    scoring: Scoring
    scored: Scored
    rates: tuple[Rate, ...]


def measured(
    comparisons: Comparisons,
    samples: tuple[Vectors, Ints],
    candidates: Sequence[Scoring],
    fmrs: Sequence[float],
) -> list[Candidate]:
    """Every candidate's scores and rates, the strictest FMR last; those that need more people are left out."""
    halves = len(np.unique(samples[1])) // 2
    found = []
    for scoring in candidates:
        if scoring.method is Method.AS_NORM and halves < _LEAST_COHORT:
            continue
        scored = scored_disjoint(comparisons, samples, by(scoring))
        rates = tuple(rate(scored, fmr) for fmr in sorted(fmrs, reverse=True))
        found.append(Candidate(scoring, scored, rates))
    return found


def best(candidates: Sequence[Candidate]) -> Candidate:
    """The highest TAR at the strictest FMR; a simpler method wins if it comes within a hundredth of that."""
    leader = max(each.rates[-1].tar for each in candidates)
    return next(each for each in candidates if each.rates[-1].tar >= leader - _AS_GOOD)
