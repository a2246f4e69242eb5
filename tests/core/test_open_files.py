"""A serving process raises its limit of open files as far as allowed."""

import resource
from collections.abc import Iterator

import pytest
import structlog

from backend.core.process.open_files import raise_open_file_limit


@pytest.fixture
def limits() -> Iterator[tuple[int, int]]:
    """The soft and the hard limit, restored afterwards."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_soft_limit_is_raised_to_the_wanted_value(limits: tuple[int, int]) -> None:
    soft, hard = limits
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 10, hard))
    assert raise_open_file_limit(soft) == soft
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (soft, hard)


def test_sufficient_limit_stays_unchanged(limits: tuple[int, int]) -> None:
    soft, hard = limits
    assert raise_open_file_limit(soft - 10) == soft
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (soft, hard)


def test_low_hard_limit_is_logged(limits: tuple[int, int]) -> None:
    _, hard = limits
    if hard == resource.RLIM_INFINITY:
        pytest.skip("there is no hard limit here")
    with structlog.testing.capture_logs() as logged:
        assert raise_open_file_limit(hard + 1) == hard
    assert [(line["limit"], line["wanted"]) for line in logged] == [(hard, hard + 1)]
