"""Thresholds that a deployment learns from its own people."""

import dataclasses
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biometrics.matching.learned_thresholds import (
    LabelledFaces,
    LearningImpossible,
    LearningRules,
    learn_thresholds,
    measure_genuine,
    wilson,
)

RULES = LearningRules(minimum=30, resamples=100)
DIMENSION = 64


def draw_people(people: int, seed: int, *, noise: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Templates and probes: a Gaussian identity, a few directions in which people are alike, and noise of the pictures.

    What people have in common makes some of them easy to mistake for many others, as among faces.
    """
    random = np.random.default_rng(seed)
    shared = np.random.default_rng(99).normal(size=(6, DIMENSION))
    own = random.normal(size=(people, DIMENSION)) + random.normal(scale=0.2, size=(people, 6)) @ shared
    first = own + noise * random.normal(size=own.shape) / np.sqrt(3)
    second = own + noise * random.normal(size=own.shape) / np.sqrt(2)
    return first, second


def make_faces(
    people: int, seed: int = 1, *, schools: int = 1, group: str = "girls 15-17", noise: float = 0.5
) -> LabelledFaces:
    templates, probes = draw_people(people, seed, noise=noise)
    return LabelledFaces(templates, np.arange(people) % schools, [group] * people, probes, np.arange(people))


def join(*parts: LabelledFaces) -> LabelledFaces:
    starts = np.cumsum([0, *(len(part.templates) for part in parts)])[:-1]
    return LabelledFaces(
        np.concatenate([part.templates for part in parts]),
        np.concatenate([part.school for part in parts]),
        [name for part in parts for name in part.group],
        np.concatenate([part.probes for part in parts]),
        np.concatenate([part.owner + start for part, start in zip(parts, starts, strict=True)]),
    )


def impostor_scores(templates: np.ndarray, probes: np.ndarray) -> np.ndarray:
    left, right = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (templates, probes))
    return np.sort((left @ right.T)[~np.eye(len(left), dtype=bool)])


UNSEEN = impostor_scores(*draw_people(2000, 4711))


def realised_fmr(threshold: float) -> float:
    """The share of 4 million comparisons of people that were not learned from."""
    return 1 - float(np.searchsorted(UNSEEN, threshold)) / len(UNSEEN)


@pytest.mark.parametrize("people", [50, 100])
def test_strangers_pass_at_the_rate_that_was_asked_for_where_a_plain_quantile_lets_more_pass(
    people: int,
) -> None:
    rule, plain = [], []
    for seed in range(20):
        faces = make_faces(people, seed)
        rule.append(realised_fmr(learn_thresholds(faces, RULES, seed=seed).accept_from))
        plain.append(realised_fmr(float(np.quantile(impostor_scores(faces.templates, faces.probes), 0.999))))
    assert np.mean(np.array(rule) <= 1e-3) >= 0.9
    assert np.median(rule) > 1e-4  # not bought by refusing everyone
    assert np.mean(np.array(plain) > 1e-3) >= 0.5
    assert np.median(plain) > 2 * np.median(rule)


def test_strictest_group_counts_for_all() -> None:
    easy, hard = make_faces(60, 1, group="a"), make_faces(60, 2, group="b")
    alike = dataclasses.replace(hard, templates=hard.templates + 0.8, probes=hard.probes + 0.8)
    learned = learn_thresholds(join(easy, alike), RULES)
    assert [each.group for each in learned.groups] == ["b", "a"]
    assert learned.accept_from == learned.groups[0].bound
    assert learned.groups[1].bound is not None
    assert learned.groups[1].bound < learned.accept_from


def test_only_people_of_one_group_and_school_are_compared() -> None:
    together, apart = make_faces(60), make_faces(60, schools=2)
    assert learn_thresholds(together, RULES).groups[0].pairs == 60 * 59
    assert learn_thresholds(apart, RULES).groups[0].pairs == 2 * 30 * 29


def test_a_group_below_the_minimum_has_no_threshold() -> None:
    learned = learn_thresholds(join(make_faces(60), make_faces(29, 2, group="boys 18+")), RULES)
    assert [each.group for each in learned.groups] == ["girls 15-17"]
    assert [(each.group, each.people, each.bound) for each in learned.too_small] == [("boys 18+", 29, None)]
    with pytest.raises(LearningImpossible, match="29 people of 30"):
        learn_thresholds(make_faces(29), RULES)


def test_people_in_schools_too_small_to_compare_give_no_threshold() -> None:
    with pytest.raises(LearningImpossible):
        learn_thresholds(make_faces(60, schools=30), RULES)


def test_people_without_a_probe_do_not_count() -> None:
    faces = make_faces(60)
    seen = dataclasses.replace(faces, probes=faces.probes[:29], owner=faces.owner[:29])
    with pytest.raises(LearningImpossible, match="29 people"):
        learn_thresholds(seen, RULES)


def test_a_school_of_lookalikes_raises_its_own_threshold_only() -> None:
    crowd = make_faces(12 * 60, 1, schools=12)
    lookalikes = make_faces(60, 2)
    lookalikes = dataclasses.replace(
        lookalikes,
        templates=lookalikes.templates + 0.7,
        probes=lookalikes.probes + 0.7,
        school=np.full(60, 99),
    )
    learned = learn_thresholds(join(crowd, lookalikes), RULES)
    assert set(learned.schools) == {99}
    assert learned.schools[99] > learned.accept_from


def test_one_person_under_two_names_is_counted_and_raises_the_threshold_little() -> None:
    faces = make_faces(60)
    plain = learn_thresholds(faces, RULES)
    twice = dataclasses.replace(faces, templates=faces.templates.copy(), probes=faces.probes.copy())
    scores = (faces.templates * faces.probes).sum(axis=1)
    one = int(
        np.argmax(scores / np.linalg.norm(faces.templates, axis=1) / np.linalg.norm(faces.probes, axis=1))
    )
    other = (one + 1) % 60
    twice.templates[other], twice.probes[other] = twice.templates[one], twice.probes[one]
    learned = learn_thresholds(twice, RULES)
    assert plain.groups[0].alike == 0
    assert learned.groups[0].alike == 2
    assert plain.accept_from < learned.accept_from < 0.8
    assert learned.groups[0].genuine is not None
    assert learned.groups[0].genuine.accepted.value == 1


def test_identical_vectors_do_not_break_the_fit() -> None:
    faces = make_faces(60)
    faces.templates[:], faces.probes[:] = faces.templates[0], faces.templates[0]
    learned = learn_thresholds(faces, RULES)
    assert 0.99 < learned.reject_below <= learned.accept_from < 1


def test_refusing_starts_below_nearly_every_genuine_score() -> None:
    noisy = make_faces(100, noise=1.5)
    learned = learn_thresholds(noisy, RULES)
    assert learned.reject_below <= learned.accept_from
    shares = learned.groups[0].genuine
    assert shares is not None
    assert shares.refused.value <= 0.01
    assert shares.doubtful.value > 0
    assert shares.accepted.value + shares.doubtful.value + shares.refused.value == pytest.approx(1)


def test_several_probes_of_one_person_count_as_one_person() -> None:
    shares = measure_genuine(np.array([0.9, 0.9, 0.1, 0.9]), np.array([0, 1, 1, 2]), 0.5, 0.2)
    assert shares is not None
    assert shares.people == 3
    assert [shares.accepted.value, shares.refused.value] == pytest.approx([2.5 / 3, 0.5 / 3])


def test_a_share_without_failures_has_an_interval() -> None:
    share = wilson(1.0, 42)
    assert share.high == 1
    assert 0.9 < share.low < 0.93


@settings(max_examples=25, deadline=None)
@given(
    people=st.integers(30, 60),
    schools=st.integers(1, 2),
    seed=st.integers(0, 1000),
    noise=st.floats(0.1, 3.0),
)
def test_result_is_ordered_and_repeats(people: int, schools: int, seed: int, noise: float) -> None:
    faces = make_faces(people, seed, schools=schools, noise=noise)
    rules = dataclasses.replace(RULES, resamples=20)
    try:
        learned = learn_thresholds(faces, rules, seed=seed)
    except LearningImpossible:
        assert schools > 1
        return
    assert -1 < learned.reject_below <= learned.accept_from < 1
    assert all(value > learned.accept_from for value in learned.schools.values())
    assert learned == learn_thresholds(faces, rules, seed=seed)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), factor=st.floats(0.01, 100))
def test_length_of_vectors_does_not_matter(seed: int, factor: float) -> None:
    faces = make_faces(40, seed)
    rules = dataclasses.replace(RULES, resamples=20)
    scaled = dataclasses.replace(faces, templates=faces.templates * factor)
    assert learn_thresholds(scaled, rules).accept_from == pytest.approx(
        learn_thresholds(faces, rules).accept_from
    )


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000))
def test_a_stricter_rate_asks_for_a_higher_score(seed: int) -> None:
    faces = make_faces(40, seed)
    thresholds = [
        learn_thresholds(faces, dataclasses.replace(RULES, resamples=20, fmr=fmr)).accept_from
        for fmr in (1e-2, 1e-3, 1e-4)
    ]
    assert thresholds == sorted(thresholds)


@pytest.mark.parametrize(
    "broken",
    [
        {"probes": np.full((60, DIMENSION), np.nan)},
        {"templates": np.zeros((60, DIMENSION))},
        {"templates": np.ones((59, DIMENSION))},
        {"probes": np.ones((60, 3))},
        {"owner": np.full(60, 60)},
        {"probes": np.zeros((0, DIMENSION)), "owner": np.zeros(0, int)},
    ],
)
def test_unusable_samples_are_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(LearningImpossible):
        dataclasses.replace(make_faces(60), **broken)


@pytest.mark.parametrize(
    "broken", [{"fmr": 0.0}, {"fmr": 0.1}, {"tail": 1.0}, {"minimum": 1}, {"resamples": 0}]
)
def test_figures_out_of_range_are_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(LearningImpossible):
        dataclasses.replace(RULES, **broken)


def test_thousands_of_people_are_learned_from_in_seconds() -> None:
    faces = join(*(make_faces(1000, seed, schools=3, group=f"group {seed}") for seed in range(3)))
    started = time.process_time()
    learned = learn_thresholds(faces, LearningRules(minimum=50))
    assert time.process_time() - started < 30
    assert len(learned.groups) == 3
