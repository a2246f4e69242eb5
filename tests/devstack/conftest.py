"""A checkout in miniature that an unprivileged user can reach, unlike pytest's own 0700 directories."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backend.devstack.clean import delete_local_data
from backend.devstack.paths import find_place
from backend.devstack.services import running_stack


@contextmanager
def new_checkout() -> Iterator[Path]:
    root = Path(tempfile.mkdtemp(prefix="dm-checkout-"))
    root.chmod(0o755)
    yield root
    delete_local_data(root, system_data=root / "var")  # also stops what a test left running on purpose
    shutil.rmtree(root)


@pytest.fixture
def checkout() -> Iterator[Path]:
    """One in which nothing was started yet."""
    with new_checkout() as root:
        yield root


@pytest.fixture(scope="session")
def first_start() -> Iterator[Path]:
    """The cluster of a checkout after its first start and stop."""
    with new_checkout() as root:
        with running_stack(root, "run"):
            pass
        yield find_place(root, "run").data / "postgres"


@pytest.fixture
def used_checkout(checkout: Path, first_start: Path) -> Path:
    """One that was started before. Its cluster is a copy: making one costs ten times as much as starting it."""
    subprocess.run(["cp", "-a", str(first_start), str(find_place(checkout, "run").data)], check=True)
    return checkout
