import numpy as np
import pytest

from biometrics.matching import calibration
from biometrics.matching.calibration import (
    CANDIDATES,
    Comparisons,
    ScoredComparisons,
    choose_best,
    measure_candidates,
    measure_rate,
    scorer_for,
)
from biometrics.matching.decision import Method
from biometrics.matching.scoring import ScoringConfig

FMRS = (1e-2, 1e-3)
SOME = (ScoringConfig(Method.NEUTRAL), ScoringConfig(Method.CENTRED, 1.0))


def make_vectors(
    people: int, shots: int, common: float, *, spread: float = 0.45, seed: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of people around a common direction of the given length, with several noisy shots each."""
    random = np.random.default_rng(seed)
    own = random.normal(size=(people, 16)) + common * np.eye(16)[0]
    vectors = own.repeat(shots, axis=0) + spread * random.normal(size=(people * shots, 16))
    return vectors, np.arange(people).repeat(shots)


def all_pairs(vectors: np.ndarray, person: np.ndarray) -> Comparisons:
    one, other = np.triu_indices(len(vectors), 1)
    return Comparisons(vectors[one], vectors[other], person[one], person[other])


def make_scores(values: list[float], left: list[int], right: list[int]) -> ScoredComparisons:
    return ScoredComparisons(np.array(values), np.array(left), np.array(right))


def test_tar_is_measured_at_the_threshold_of_the_fmr() -> None:
    scores = make_scores(
        [0.9, 0.8, 0.4, *(0.01 * number for number in range(100))],
        [0, 1, 2, *[3] * 100],
        [0, 1, 2, *[4] * 100],
    )
    rate = measure_rate(scores, 0.5)
    assert rate.threshold > 0.49
    assert rate.tar == pytest.approx(2 / 3)


def test_no_more_impostors_match_than_the_fmr_allows() -> None:
    random = np.random.default_rng(5)
    left, right = random.integers(0, 40, (2, 5000))
    scores = ScoredComparisons(random.normal(size=5000) + 2.0 * (left == right), left, right)
    for fmr in (0.1, 0.01, 0.001):
        assert (scores.impostor >= measure_rate(scores, fmr).threshold).mean() <= fmr


def test_interval_contains_the_rate_and_narrows_with_more_people() -> None:
    few, many = (
        measure_rate(
            calibration.score_disjoint(
                all_pairs(*make_vectors(n, 3, 0.0)), make_vectors(n, 3, 0.0), scorer_for(CANDIDATES[0])
            ),
            0.01,
        )
        for n in (14, 60)
    )
    assert few.low <= few.tar <= few.high
    assert many.high - many.low < few.high - few.low


def test_centring_wins_in_a_homogeneous_population() -> None:
    vectors, person = make_vectors(60, 3, common=6.0, spread=0.8)
    candidates = measure_candidates(all_pairs(vectors, person), (vectors, person), SOME, FMRS)
    chosen = choose_best(candidates)
    assert chosen.scoring.method is not Method.NEUTRAL
    assert chosen.rates[-1].tar > candidates[0].rates[-1].tar + 0.05


def test_simplest_method_wins_without_a_common_component() -> None:
    vectors, person = make_vectors(60, 3, common=0.0)
    candidates = measure_candidates(all_pairs(vectors, person), (vectors, person), SOME, FMRS)
    assert choose_best(candidates).scoring == ScoringConfig(Method.NEUTRAL)


def test_training_and_test_people_are_disjoint() -> None:
    vectors, person = make_vectors(20, 2, 0.0)
    seen: list[tuple[set[int], set[int]]] = []

    def spy(comparisons: Comparisons, training: np.ndarray, person: np.ndarray) -> np.ndarray:
        assert len(training) == len(person)
        seen.append(
            (set(person.tolist()), {*comparisons.left_person.tolist(), *comparisons.right_person.tolist()})
        )
        return np.zeros(len(comparisons.left))

    calibration.score_disjoint(all_pairs(vectors, person), (vectors, person), spy, rounds=5)
    assert len(seen) == 5
    assert all(training and compared and not training & compared for training, compared in seen)


def test_shot_is_not_compared_with_a_template_that_contains_it() -> None:
    vectors, person = make_vectors(12, 3, 0.0)
    pairs = calibration.pair_shots_with_templates(vectors, person, 10_000)
    genuine = pairs.select(pairs.left_person == pairs.right_person)
    rest = [
        vectors[(person == person[i]) & (np.arange(len(vectors)) != i)].mean(axis=0)
        for i in range(len(vectors))
    ]
    assert np.allclose(genuine.left, rest)
    assert np.allclose(genuine.right, vectors)
    assert len(pairs.left) - len(genuine.left) == len(vectors) * 11


def test_impostor_pairs_are_limited() -> None:
    vectors, person = make_vectors(50, 2, 0.0)
    pairs = calibration.pair_shots_with_templates(vectors, person, 500)
    assert (pairs.left_person != pairs.right_person).sum() <= 500


def test_person_with_one_shot_has_no_genuine_comparison() -> None:
    vectors, person = make_vectors(5, 1, 0.0)
    pairs = calibration.pair_shots_with_templates(vectors, person, 1000)
    assert not (pairs.left_person == pairs.right_person).any()
