"""A checkout in miniature that an unprivileged user can reach, unlike pytest's own 0700 directories."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.local.clean import delete_local_data


@pytest.fixture
def checkout() -> Iterator[Path]:
    root = Path(tempfile.mkdtemp(prefix="dm-checkout-"))
    root.chmod(0o755)
    yield root
    delete_local_data(root, system_data=root / "var")  # also stops what a test left running on purpose
    shutil.rmtree(root)
