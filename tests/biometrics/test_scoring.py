import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biometrics.engines.base import Descriptor, EngineKey, Metric
from biometrics.errors import EngineMismatch
from biometrics.matching.decision import FaceTemplate, Method
from biometrics.matching.scoring import (
    CohortTooSmall,
    Population,
    PopulationTooSmall,
    Reference,
    Scoring,
    learn,
    neutral,
    score,
)

KEY, OTHER = EngineKey("a", "1"), EngineKey("a", "2")
NEUTRAL = Scoring(Method.NEUTRAL)
HALF = Scoring(Method.CENTRED, weight=0.5)
VECTORS = st.lists(st.floats(-1, 1, width=32), min_size=3, max_size=3).filter(
    lambda vector: np.linalg.norm(vector) > 1e-2
)


def template(*values: float, key: EngineKey = KEY) -> FaceTemplate:
    return FaceTemplate(key, Metric.L2, np.array(values, dtype=np.float32), 3, 0.0)


def probe(*values: float, key: EngineKey = KEY) -> Descriptor:
    return Descriptor(key, Metric.L2, np.array(values, dtype=np.float32))


def around(*centre: float) -> Population:
    return Population(KEY, 1, np.array(centre, dtype=np.float32), 50)


def crowd(people: int, seed: int = 1) -> tuple[FaceTemplate, ...]:
    return tuple(template(*vector) for vector in np.random.default_rng(seed).normal(size=(people, 3)))


@given(VECTORS, VECTORS)
def test_the_neutral_score_is_the_cosine(one: list[float], other: list[float]) -> None:
    found = score(Reference(template(*one), neutral(KEY, 3), NEUTRAL), probe(*other))
    expected = np.dot(one, other) / np.linalg.norm(one) / np.linalg.norm(other)
    assert found.value == pytest.approx(expected, abs=1e-5)
    assert found.method is Method.NEUTRAL


def test_what_a_population_has_in_common_does_not_make_two_people_alike() -> None:
    one, other = template(4, 1, 0), probe(4, 0, 1)
    alike = score(Reference(one, neutral(KEY, 3), NEUTRAL), other).value
    told_apart = score(Reference(one, around(4, 0, 0), Scoring(Method.CENTRED, 1.0)), other).value
    assert alike > 0.9
    assert told_apart == pytest.approx(0)


def test_only_the_named_share_of_the_mean_is_taken_away() -> None:
    found = score(Reference(template(2, 1, 0), around(2, 0, 0), HALF), probe(2, 0, 1))
    assert found.value == pytest.approx(0.5)  # (1, 1, 0) and (1, 0, 1)
    assert found.population_version == 1


def test_the_neutral_method_ignores_a_population() -> None:
    one, other = template(2, 1, 0), probe(2, 0, 1)
    with_it = score(Reference(one, around(2, 0, 0), NEUTRAL), other)
    assert with_it.value == score(Reference(one, neutral(KEY, 3), NEUTRAL), other).value


@given(VECTORS, VECTORS, VECTORS, st.floats(0, 1))
def test_a_score_is_the_same_from_both_sides(
    one: list[float], other: list[float], centre: list[float], weight: float
) -> None:
    def scored(claimed: list[float], seen: list[float]) -> float:
        reference = Reference(template(*claimed), around(*centre), Scoring(Method.CENTRED, weight))
        return score(reference, probe(*seen)).value

    assert scored(one, other) == pytest.approx(scored(other, one))
    assert -1.0001 <= scored(one, other) <= 1.0001


def test_a_picture_without_direction_scores_zero_and_not_nothing() -> None:
    assert score(Reference(template(1, 0, 0), around(0, 0, 0), HALF), probe(0, 0, 0)).value == 0


def test_scores_are_normalised_by_how_close_others_of_the_school_come() -> None:
    scoring = Scoring(Method.AS_NORM, 0.0, cohort_size=10)
    own, stranger = template(1, 0, 0), probe(0.6, 0.8, 0)
    lonely = tuple(template(*vector) for vector in np.random.default_rng(2).normal((-1, 0, 0), 0.3, (40, 3)))
    crowded = tuple(template(*vector) for vector in np.random.default_rng(2).normal((1, 1, 0), 0.1, (40, 3)))
    among_unlike = score(Reference(own, neutral(KEY, 3), scoring, lonely), stranger).value
    among_alike = score(Reference(own, neutral(KEY, 3), scoring, crowded), stranger).value
    assert among_unlike > 0 > among_alike


def test_a_score_is_not_normalised_against_too_few() -> None:
    scoring = Scoring(Method.AS_NORM, 0.0, cohort_size=10)
    with pytest.raises(CohortTooSmall):
        score(Reference(template(1, 0, 0), neutral(KEY, 3), scoring, crowd(9)), probe(1, 0, 0))


def test_classmates_who_lie_nearer_are_counted() -> None:
    roster = (template(1, 0.1, 0), template(0, 1, 0), template(1, 0, 0.1))
    reference = Reference(template(1, 1, 0), neutral(KEY, 3), NEUTRAL, roster=roster)
    assert score(reference, probe(1, 0, 0)).nearer_in_roster == 2
    assert score(reference, probe(1, 1, 0)).nearer_in_roster == 0


def test_a_population_is_the_mean_of_its_people() -> None:
    people = crowd(60)
    population = learn(people, 3, needed=50)
    assert population.centre == pytest.approx(np.mean([person.mean for person in people], axis=0), abs=1e-6)
    assert (population.version, population.people, population.engine) == (3, 60, KEY)


def test_few_people_are_no_population() -> None:
    with pytest.raises(PopulationTooSmall) as caught:
        learn(crowd(49), 1, needed=50)
    assert caught.value.params == {"people": 49, "needed": 50}


@pytest.mark.parametrize(
    "reference",
    [
        Reference(template(1, 0, 0, key=OTHER), neutral(OTHER, 3), NEUTRAL),
        Reference(template(1, 0, 0), neutral(OTHER, 3), NEUTRAL),
        Reference(template(1, 0, 0), neutral(KEY, 3), NEUTRAL, roster=(template(1, 0, 0, key=OTHER),)),
    ],
)
def test_nothing_of_another_engine_is_compared(reference: Reference) -> None:
    with pytest.raises(EngineMismatch):
        score(reference, probe(1, 0, 0))


def test_people_of_two_engines_are_no_population() -> None:
    with pytest.raises(EngineMismatch):
        learn([*crowd(60), template(1, 0, 0, key=OTHER)], 1, needed=50)


@pytest.mark.parametrize(("weight", "cohort"), [(-0.1, 0), (1.1, 0), (0.5, -1)])
def test_figures_that_mean_nothing_make_no_method(weight: float, cohort: int) -> None:
    with pytest.raises(ValueError, match="no scoring"):
        Scoring(Method.AS_NORM, weight, cohort)
