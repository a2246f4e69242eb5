import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biometrics.engines.base import Descriptor, EngineKey, Metric
from biometrics.errors import EngineMismatch
from biometrics.matching.decision import FaceTemplate, Method
from biometrics.matching.scoring import (
    CohortTooSmall,
    MatchReference,
    Population,
    PopulationTooSmall,
    ScoringConfig,
    learn_population,
    neutral_population,
    score,
)

KEY, OTHER = EngineKey("a", "1"), EngineKey("a", "2")
NEUTRAL = ScoringConfig(Method.NEUTRAL)
HALF = ScoringConfig(Method.CENTRED, weight=0.5)
VECTORS = st.lists(st.floats(-1, 1, width=32), min_size=3, max_size=3).filter(
    lambda vector: np.linalg.norm(vector) > 1e-2
)


def template(*values: float, key: EngineKey = KEY) -> FaceTemplate:
    return FaceTemplate(key, Metric.L2, np.array(values, dtype=np.float32), 3, 0.0)


def probe(*values: float, key: EngineKey = KEY) -> Descriptor:
    return Descriptor(key, Metric.L2, np.array(values, dtype=np.float32))


def population_around(*centre: float) -> Population:
    return Population(KEY, 1, np.array(centre, dtype=np.float32), 50)


def random_templates(people: int, seed: int = 1) -> tuple[FaceTemplate, ...]:
    return tuple(template(*vector) for vector in np.random.default_rng(seed).normal(size=(people, 3)))


@given(VECTORS, VECTORS)
def test_neutral_score_is_the_cosine(one: list[float], other: list[float]) -> None:
    found = score(MatchReference(template(*one), neutral_population(KEY, 3), NEUTRAL), probe(*other))
    expected = np.dot(one, other) / np.linalg.norm(one) / np.linalg.norm(other)
    assert found.value == pytest.approx(expected, abs=1e-5)
    assert found.method is Method.NEUTRAL


def test_common_component_of_a_population_does_not_raise_the_score() -> None:
    one, other = template(4, 1, 0), probe(4, 0, 1)
    alike = score(MatchReference(one, neutral_population(KEY, 3), NEUTRAL), other).value
    told_apart = score(
        MatchReference(one, population_around(4, 0, 0), ScoringConfig(Method.CENTRED, 1.0)), other
    ).value
    assert alike > 0.9
    assert told_apart == pytest.approx(0)


def test_only_the_configured_share_of_the_mean_is_subtracted() -> None:
    found = score(MatchReference(template(2, 1, 0), population_around(2, 0, 0), HALF), probe(2, 0, 1))
    assert found.value == pytest.approx(0.5)  # (1, 1, 0) and (1, 0, 1)
    assert found.population_version == 1


def test_neutral_method_ignores_the_population() -> None:
    one, other = template(2, 1, 0), probe(2, 0, 1)
    with_it = score(MatchReference(one, population_around(2, 0, 0), NEUTRAL), other)
    assert with_it.value == score(MatchReference(one, neutral_population(KEY, 3), NEUTRAL), other).value


@given(VECTORS, VECTORS, VECTORS, st.floats(0, 1))
def test_score_is_symmetric(one: list[float], other: list[float], centre: list[float], weight: float) -> None:
    def scored(claimed: list[float], seen: list[float]) -> float:
        reference = MatchReference(
            template(*claimed), population_around(*centre), ScoringConfig(Method.CENTRED, weight)
        )
        return score(reference, probe(*seen)).value

    assert scored(one, other) == pytest.approx(scored(other, one))
    assert -1.0001 <= scored(one, other) <= 1.0001


def test_zero_vector_scores_zero() -> None:
    assert (
        score(MatchReference(template(1, 0, 0), population_around(0, 0, 0), HALF), probe(0, 0, 0)).value == 0
    )


def test_scores_are_normalised_against_the_cohort() -> None:
    scoring = ScoringConfig(Method.AS_NORM, 0.0, cohort_size=10)
    own, stranger = template(1, 0, 0), probe(0.6, 0.8, 0)
    lonely = tuple(template(*vector) for vector in np.random.default_rng(2).normal((-1, 0, 0), 0.3, (40, 3)))
    crowded = tuple(template(*vector) for vector in np.random.default_rng(2).normal((1, 1, 0), 0.1, (40, 3)))
    among_unlike = score(MatchReference(own, neutral_population(KEY, 3), scoring, lonely), stranger).value
    among_alike = score(MatchReference(own, neutral_population(KEY, 3), scoring, crowded), stranger).value
    assert among_unlike > 0 > among_alike


def test_too_small_a_cohort_is_an_error() -> None:
    scoring = ScoringConfig(Method.AS_NORM, 0.0, cohort_size=10)
    with pytest.raises(CohortTooSmall):
        score(
            MatchReference(template(1, 0, 0), neutral_population(KEY, 3), scoring, random_templates(9)),
            probe(1, 0, 0),
        )


def test_closer_classmates_are_counted() -> None:
    roster = (template(1, 0.1, 0), template(0, 1, 0), template(1, 0, 0.1))
    reference = MatchReference(template(1, 1, 0), neutral_population(KEY, 3), NEUTRAL, roster=roster)
    assert score(reference, probe(1, 0, 0)).nearer_in_roster == 2
    assert score(reference, probe(1, 1, 0)).nearer_in_roster == 0


def test_population_is_the_mean_of_its_templates() -> None:
    people = random_templates(60)
    population = learn_population(people, 3, needed=50)
    assert population.centre == pytest.approx(np.mean([person.mean for person in people], axis=0), abs=1e-6)
    assert (population.version, population.people, population.engine) == (3, 60, KEY)


def test_too_few_people_are_an_error() -> None:
    with pytest.raises(PopulationTooSmall) as caught:
        learn_population(random_templates(49), 1, needed=50)
    assert caught.value.params == {"people": 49, "needed": 50}


@pytest.mark.parametrize(
    "reference",
    [
        MatchReference(template(1, 0, 0, key=OTHER), neutral_population(OTHER, 3), NEUTRAL),
        MatchReference(template(1, 0, 0), neutral_population(OTHER, 3), NEUTRAL),
        MatchReference(
            template(1, 0, 0), neutral_population(KEY, 3), NEUTRAL, roster=(template(1, 0, 0, key=OTHER),)
        ),
    ],
)
def test_templates_of_another_engine_are_not_compared(reference: MatchReference) -> None:
    with pytest.raises(EngineMismatch):
        score(reference, probe(1, 0, 0))


def test_population_of_two_engines_is_an_error() -> None:
    with pytest.raises(EngineMismatch):
        learn_population([*random_templates(60), template(1, 0, 0, key=OTHER)], 1, needed=50)


@pytest.mark.parametrize(("weight", "cohort"), [(-0.1, 0), (1.1, 0), (0.5, -1)])
def test_invalid_scoring_parameters_are_rejected(weight: float, cohort: int) -> None:
    with pytest.raises(ValueError, match="invalid scoring"):
        ScoringConfig(Method.AS_NORM, weight, cohort)
