"""Calibration: measures which scoring method separates the people of a deployment best, and at which thresholds.

All measurements are identity-disjoint. Each of many rounds splits the people in two halves: the mean and the cohort come
from one half, and only comparisons within the other half are scored. Rates are named as in ISO/IEC 19795-1: the false
match rate (FMR) over comparisons of different people, the true accept rate (TAR) over comparisons of one person.
Intervals come from resampling people, not comparisons, because pictures of one person are not independent.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from biometrics.engines.base import EngineKey
from biometrics.matching.decision import Method
from biometrics.matching.scoring import Population, ScoringConfig, Vectors, centre_vectors, normalise_scores

Ints = npt.NDArray[np.int64]

CANDIDATES = (
    ScoringConfig(Method.NEUTRAL),
    *(ScoringConfig(Method.CENTRED, weight) for weight in (0.25, 0.5, 0.75, 1.0)),
    ScoringConfig(Method.AS_NORM, 0.0, 30),
    ScoringConfig(Method.AS_NORM, 0.5, 30),
)
"""From simplest to most complex. Of two equally good candidates the earlier one is chosen."""
_RESAMPLES = 200
_POOLED_COMPARISONS = 100_000
"""Approximate number of comparisons over all rounds: fewer comparisons per round require more rounds."""
_ROUNDS = range(4, 60)
_MIN_COHORT = 4
"""Minimum number of people for a meaningful standard deviation of the cohort."""
_TAR_TOLERANCE = 0.01
"""A TAR this close to the best does not justify a more complex method."""


@dataclass(frozen=True, slots=True, eq=False)
class Comparisons:
    """Pairs to compare: row i of `left` with row i of `right`, of the people with the given numbers."""

    left: Vectors
    right: Vectors
    left_person: Ints
    right_person: Ints

    def select(self, chosen: npt.NDArray[np.bool_]) -> "Comparisons":
        """The selected rows."""
        return Comparisons(
            self.left[chosen], self.right[chosen], self.left_person[chosen], self.right_person[chosen]
        )


@dataclass(frozen=True, slots=True, eq=False)
class ScoredComparisons:
    """Scores of comparisons, pooled over the rounds, with the people compared."""

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
    """The TAR at one FMR, with its 95 % interval and the threshold. Scores at or above the threshold are accepted."""

    fmr: float
    tar: float
    low: float
    high: float
    threshold: float


def means_by_person(vectors: Vectors, person: Ints) -> tuple[Vectors, Ints]:
    """The mean vector of each person, which is how templates are built."""
    people = np.unique(person)
    return np.stack([vectors[person == each].mean(axis=0) for each in people]), people


def pair_shots_with_templates(vectors: Vectors, person: Ints, most: int, *, seed: int = 1) -> Comparisons:
    """Pair each vector with the mean of its person's other vectors, and with up to `most` templates of other people."""
    templates, people = means_by_person(vectors, person)
    owner = np.searchsorted(people, person)
    count = np.bincount(owner)
    several = np.flatnonzero(count[owner] > 1)
    total = templates[owner[several]] * count[owner[several], None]
    rests = (total - vectors[several]) / (count[owner[several], None] - 1)
    random = np.random.default_rng(seed)
    drawn = random.choice(len(vectors) * len(people), min(most, len(vectors) * len(people)), replace=False)
    seen, claimed = drawn // len(people), drawn % len(people)
    impostor = claimed != owner[seen]
    seen, claimed = seen[impostor], claimed[impostor]
    return Comparisons(
        np.concatenate([rests, templates[claimed]]),
        np.concatenate([vectors[several], vectors[seen]]),
        np.concatenate([person[several], people[claimed]]),
        np.concatenate([person[several], person[seen]]),
    )


Scorer = Callable[[Comparisons, Vectors, Ints], Vectors]
"""Scores comparisons (larger is closer), given the vectors and people that may be used for training."""


def scorer_for(scoring: ScoringConfig) -> Scorer:
    """The product's own scoring, with the population learned from the mean vectors of the people."""

    def scorer(comparisons: Comparisons, vectors: Vectors, person: Ints) -> Vectors:
        templates, people = means_by_person(vectors, person)
        population = Population(_CALIBRATION_KEY, 1, templates.mean(axis=0).astype(np.float32), len(people))
        left = centre_vectors(comparisons.left, population, scoring)
        right = centre_vectors(comparisons.right, population, scoring)
        cosine: Vectors = np.einsum("ij,ij->i", left, right)
        if scoring.method is not Method.AS_NORM:
            return cosine
        nearest = min(scoring.cohort_size, len(templates))
        return normalise_scores(cosine, left, right, centre_vectors(templates, population, scoring), nearest)

    return scorer


def score_disjoint(
    comparisons: Comparisons,
    samples: tuple[Vectors, Ints],
    scorer: Scorer,
    *,
    seed: int = 1,
    rounds: int | None = None,
) -> ScoredComparisons:
    """Score each round's comparisons between people that were not in that round's training half.

    `samples` are the vectors available for training, with their people.
    """
    vectors, person = samples
    people = np.unique(person)
    random = np.random.default_rng(seed)
    parts = []
    # Half of the people are in the test half, so a round scores about a quarter of the comparisons.
    wanted = min(_ROUNDS[-1], max(_ROUNDS[0], 4 * _POOLED_COMPARISONS // max(1, len(comparisons.left))))
    for _ in range(rounds or wanted):
        training = np.isin(person, random.permutation(people)[: len(people) // 2])
        test_people = np.setdiff1d(people, person[training])
        test = comparisons.select(
            np.isin(comparisons.left_person, test_people) & np.isin(comparisons.right_person, test_people)
        )
        values = scorer(test, vectors[training], person[training])
        parts.append(ScoredComparisons(values, test.left_person, test.right_person))
    return ScoredComparisons(*(np.concatenate([getattr(part, name) for part in parts]) for name in _FIELDS))


_CALIBRATION_KEY = EngineKey("calibration", "")
_FIELDS = ("value", "left_person", "right_person")


def measure_rate(
    scores: ScoredComparisons, fmr: float, *, seed: int = 1, resamples: int = _RESAMPLES
) -> Rate:
    """The TAR at the threshold where at most `fmr` of impostor comparisons match, with its interval over people."""
    people = np.unique(np.concatenate([scores.left_person, scores.right_person]))
    left, right = (np.searchsorted(people, side) for side in (scores.left_person, scores.right_person))
    genuine, own = scores.value[left == right], left[left == right]
    order = np.argsort(-scores.value[left != right], kind="stable")
    descending = scores.value[left != right][order]
    one, other = left[left != right][order], right[left != right][order]
    threshold = _threshold(descending, np.ones(len(descending)), fmr)
    random = np.random.default_rng(seed)
    rates = []
    for _ in range(resamples):
        drawn = np.bincount(random.integers(0, len(people), len(people)), minlength=len(people)).astype(float)
        at = _threshold(descending, drawn[one] * drawn[other], fmr)
        if drawn[own].sum():
            rates.append(float(np.average(genuine >= at, weights=drawn[own])))
    low, high = np.quantile(rates, (0.025, 0.975)) if rates else (0.0, 1.0)
    return Rate(fmr, float((genuine >= threshold).mean()), float(low), float(high), threshold)


def _threshold(descending: Vectors, weights: Vectors, fmr: float) -> float:
    """Just above the first impostor score that would exceed the allowed rate."""
    if not len(descending):
        return -np.inf
    filled = np.cumsum(weights) > fmr * weights.sum()
    refused = descending[int(np.argmax(filled))] if filled.any() else descending[-1]
    return float(np.nextafter(refused, np.inf))


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A scoring method with its scores and rates."""

    scoring: ScoringConfig
    scores: ScoredComparisons
    rates: tuple[Rate, ...]


def measure_candidates(
    comparisons: Comparisons,
    samples: tuple[Vectors, Ints],
    candidates: Sequence[ScoringConfig],
    fmrs: Sequence[float],
) -> list[Candidate]:
    """Measure every candidate, with the strictest FMR last. Candidates that need more people are skipped."""
    halves = len(np.unique(samples[1])) // 2
    measured = []
    for scoring in candidates:
        if scoring.method is Method.AS_NORM and halves < _MIN_COHORT:
            continue
        scores = score_disjoint(comparisons, samples, scorer_for(scoring))
        rates = tuple(measure_rate(scores, fmr) for fmr in sorted(fmrs, reverse=True))
        measured.append(Candidate(scoring, scores, rates))
    return measured


def choose_best(candidates: Sequence[Candidate]) -> Candidate:
    """The candidate with the highest TAR at the strictest FMR, or a simpler one within 0.01 of it."""
    leader = max(each.rates[-1].tar for each in candidates)
    return next(each for each in candidates if each.rates[-1].tar >= leader - _TAR_TOLERANCE)
