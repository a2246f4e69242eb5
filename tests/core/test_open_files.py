"""A serving process holds as many connections as the operator allows."""

import resource
from collections.abc import Iterator

import pytest
import structlog

from backend.core.process.open_files import raise_open_file_limit


@pytest.fixture
def limits() -> Iterator[tuple[int, int]]:
    """The soft and the hard limit, put back afterwards."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_soft_limit_is_raised_to_what_is_wanted(limits: tuple[int, int]) -> None:
    soft, hard = limits
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 10, hard))
    assert raise_open_file_limit(soft) == soft
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (soft, hard)


def test_a_limit_that_suffices_stays(limits: tuple[int, int]) -> None:
    soft, hard = limits
    assert raise_open_file_limit(soft - 10) == soft
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (soft, hard)


def test_a_hard_limit_that_is_too_low_is_said(limits: tuple[int, int]) -> None:
    _, hard = limits
    if hard == resource.RLIM_INFINITY:
        pytest.skip("here nothing is too much")
    with structlog.testing.capture_logs() as said:
        assert raise_open_file_limit(hard + 1) == hard
    assert [(line["limit"], line["wanted"]) for line in said] == [(hard, hard + 1)]
