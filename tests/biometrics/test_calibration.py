import numpy as np
import pytest

from biometrics.matching import calibration
from biometrics.matching.calibration import CANDIDATES, Comparisons, Scored, best, by, measured, rate
from biometrics.matching.decision import Method
from biometrics.matching.scoring import Scoring

FMRS = (1e-2, 1e-3)
SOME = (Scoring(Method.NEUTRAL), Scoring(Method.CENTRED, 1.0))


def crowd(
    people: int, shots: int, common: float, *, spread: float = 0.45, seed: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """People around a common direction of the given length, each with several noisy shots."""
    random = np.random.default_rng(seed)
    own = random.normal(size=(people, 16)) + common * np.eye(16)[0]
    vectors = own.repeat(shots, axis=0) + spread * random.normal(size=(people * shots, 16))
    return vectors, np.arange(people).repeat(shots)


def every_pair(vectors: np.ndarray, person: np.ndarray) -> Comparisons:
    one, other = np.triu_indices(len(vectors), 1)
    return Comparisons(vectors[one], vectors[other], person[one], person[other])


def scored(values: list[float], left: list[int], right: list[int]) -> Scored:
    return Scored(np.array(values), np.array(left), np.array(right))


def test_a_rate_counts_who_is_accepted_where_so_many_strangers_are() -> None:
    found = scored(
        [0.9, 0.8, 0.4, *(0.01 * number for number in range(100))],
        [0, 1, 2, *[3] * 100],
        [0, 1, 2, *[4] * 100],
    )
    rated = rate(found, 0.5)
    assert rated.threshold > 0.49
    assert rated.tar == pytest.approx(2 / 3)


def test_no_more_strangers_pass_than_the_rate_allows() -> None:
    random = np.random.default_rng(5)
    left, right = random.integers(0, 40, (2, 5000))
    found = Scored(random.normal(size=5000) + 2.0 * (left == right), left, right)
    for fmr in (0.1, 0.01, 0.001):
        assert (found.impostor >= rate(found, fmr).threshold).mean() <= fmr


def test_an_interval_holds_its_rate_and_narrows_with_more_people() -> None:
    few, many = (
        rate(
            calibration.scored_disjoint(every_pair(*crowd(n, 3, 0.0)), crowd(n, 3, 0.0), by(CANDIDATES[0])),
            0.01,
        )
        for n in (14, 60)
    )
    assert few.low <= few.tar <= few.high
    assert many.high - many.low < few.high - few.low


def test_in_a_homogeneous_population_the_mean_is_taken_away() -> None:
    vectors, person = crowd(60, 3, common=6.0, spread=0.8)
    candidates = measured(every_pair(vectors, person), (vectors, person), SOME, FMRS)
    chosen = best(candidates)
    assert chosen.scoring.method is not Method.NEUTRAL
    assert chosen.rates[-1].tar > candidates[0].rates[-1].tar + 0.05


def test_where_nothing_is_common_the_simplest_method_stays() -> None:
    vectors, person = crowd(60, 3, common=0.0)
    candidates = measured(every_pair(vectors, person), (vectors, person), SOME, FMRS)
    assert best(candidates).scoring == Scoring(Method.NEUTRAL)


def test_nobody_is_compared_in_a_round_who_was_learned_from() -> None:
    vectors, person = crowd(20, 2, 0.0)
    seen: list[tuple[set[int], set[int]]] = []

    def spy(comparisons: Comparisons, learned: np.ndarray, of: np.ndarray) -> np.ndarray:
        assert len(learned) == len(of)
        seen.append(
            (set(of.tolist()), {*comparisons.left_person.tolist(), *comparisons.right_person.tolist()})
        )
        return np.zeros(len(comparisons.left))

    calibration.scored_disjoint(every_pair(vectors, person), (vectors, person), spy, rounds=5)
    assert len(seen) == 5
    assert all(learned and compared and not learned & compared for learned, compared in seen)


def test_a_shot_is_never_compared_with_a_template_it_is_part_of() -> None:
    vectors, person = crowd(12, 3, 0.0)
    found = calibration.shots_against_templates(vectors, person, 10_000)
    genuine = found.where(found.left_person == found.right_person)
    rest = [
        vectors[(person == person[i]) & (np.arange(len(vectors)) != i)].mean(axis=0)
        for i in range(len(vectors))
    ]
    assert np.allclose(genuine.left, rest)
    assert np.allclose(genuine.right, vectors)
    assert len(found.left) - len(genuine.left) == len(vectors) * 11


def test_of_many_strangers_so_many_are_drawn() -> None:
    vectors, person = crowd(50, 2, 0.0)
    found = calibration.shots_against_templates(vectors, person, 500)
    assert (found.left_person != found.right_person).sum() <= 500


def test_who_was_seen_once_is_a_stranger_to_others_only() -> None:
    vectors, person = crowd(5, 1, 0.0)
    found = calibration.shots_against_templates(vectors, person, 1000)
    assert not (found.left_person == found.right_person).any()
