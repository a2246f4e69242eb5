import random
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from biometrics.liveness.actions import INSTRUCTIONS, Action, ActionsTooFew, draw_actions


@given(st.integers(), st.sets(st.sampled_from(Action), min_size=2), st.integers(1, 5))
def test_challenges_use_possible_actions_and_never_repeat_one_directly(
    seed: int, able: set[Action], count: int
) -> None:
    drawn = draw_actions(random.Random(seed), able, count)
    assert len(drawn) == count
    assert set(drawn) <= able
    assert all(one is not other for one, other in pairwise(drawn))


def test_all_sequences_are_about_equally_likely() -> None:
    source = random.Random(1)
    seen = Counter(draw_actions(source, list(Action), 2) for _ in range(12_000))
    assert len(seen) == 12
    assert all(900 < times < 1100 for times in seen.values())


@given(st.integers(), st.permutations(list(Action)))
def test_draw_does_not_depend_on_the_order_of_the_input(seed: int, able: list[Action]) -> None:
    assert draw_actions(random.Random(seed), able, 3) == draw_actions(random.Random(seed), set(Action), 3)


@pytest.mark.parametrize(("able", "count"), [((), 1), ((Action.OPEN_MOUTH,), 2), ((Action.OPEN_MOUTH,), 3)])
def test_too_few_possible_actions_are_an_error_with_an_alternative(
    able: tuple[Action, ...], count: int
) -> None:
    with pytest.raises(ActionsTooFew) as caught:
        draw_actions(random.Random(0), able, count)
    assert "辅导员" in caught.value.sentence("zh")


def test_challenge_without_actions_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one"):
        draw_actions(random.Random(0), list(Action), 0)


def test_every_action_has_instructions_in_both_languages() -> None:
    assert set(INSTRUCTIONS) == set(Action)
    assert all(words.zh and words.en for words in INSTRUCTIONS.values())
