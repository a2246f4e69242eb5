"""A minimal checkout that an unprivileged user can access, unlike pytest's temporary directories of mode 0700."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backend.devstack.clean import delete_local_data
from backend.devstack.paths import prepare_location
from backend.devstack.services import running_stack


@contextmanager
def new_checkout() -> Iterator[Path]:
    root = Path(tempfile.mkdtemp(prefix="dm-checkout-"))
    root.chmod(0o755)
    yield root
    delete_local_data(
        root, system_data=root / "var"
    )  # also stops services that a test left running on purpose
    shutil.rmtree(root)


@pytest.fixture
def checkout() -> Iterator[Path]:
    """A checkout in which no services were started yet."""
    with new_checkout() as root:
        yield root


@pytest.fixture(scope="session")
def first_start() -> Iterator[Path]:
    """The cluster directory of a checkout after its first start and stop."""
    with new_checkout() as root:
        with running_stack(root, "run"):
            pass
        yield prepare_location(root, "run").data / "postgres"


@pytest.fixture
def used_checkout(checkout: Path, first_start: Path) -> Path:
    """A checkout that was started before. Its cluster is a copy, because initdb takes ten times as long as a start."""
    subprocess.run(["cp", "-a", str(first_start), str(prepare_location(checkout, "run").data)], check=True)
    return checkout
