"""A registry for the commands that read one, and a process whose settings lead to the test's database."""

from collections.abc import Iterator

import pytest

from backend.core.database import Database
from backend.core.runtime import Runtime
from backend.settings import Settings, get_settings
from tests.standing.registry import Registry, opened


@pytest.fixture
async def registry(runtime: Runtime, owner: Database) -> Registry:
    return await opened(runtime, owner)


@pytest.fixture
def environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in settings.model_dump(exclude_none=True).items():
        monkeypatch.setenv(f"DIANMING_{name.upper()}", str(value))
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()
