"""A registry for the commands that read one, and a process whose settings lead to the test's database."""

from collections.abc import Iterator

import pytest

from backend.core.database import Database
from backend.core.logging import configure_logging
from backend.core.runtime import Runtime
from backend.settings import Settings, get_settings
from tests.biometrics import shipped
from tests.standing.registry import Registry, opened


@pytest.fixture
async def registry(runtime: Runtime, owner: Database) -> Registry:
    return await opened(runtime, owner)


@pytest.fixture(scope="module")
def _engine_loaded_once() -> Iterator[None]:
    """Commands share the engine that this process has loaded; how one is loaded is shown where engines are tested."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (
            "backend.commands.face_command",
            "backend.commands.face_calibrate",
            "biometrics.dlib_onnx_engine",
        ):
            patch.setattr(f"{module}.DlibOnnxEngine", shipped.engine)
        patch.setattr("biometrics.contour_model.Dlib68Contours", shipped.contours)
        yield


@pytest.fixture
def environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in settings.model_dump(exclude_none=True).items():
        monkeypatch.setenv(f"DIANMING_{name.upper()}", str(value))
    get_settings.cache_clear()
    configure_logging(as_json=False)  # as the command line does before any command
    yield
    get_settings.cache_clear()
