"""A standing scenario for commands that need one, and environment variables that point to the test database."""

from collections.abc import Iterator

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.core.process.logging import configure_logging
from backend.settings import Settings, get_settings
from tests.support.biometrics import shipped_engine
from tests.support.environment import settings_environment
from tests.support.standing.scenario import StandingScenario, create_standing_scenario


@pytest.fixture
async def standing_scenario(app_context: AppContext, owner: Database) -> StandingScenario:
    return await create_standing_scenario(app_context, owner)


@pytest.fixture(scope="module")
def _engine_loaded_once() -> Iterator[None]:
    """Let commands share the engine that this process has loaded. The tests of engines cover loading."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("backend.commands.face_command", "biometrics.engines.dlib_onnx"):
            patch.setattr(f"{module}.DlibOnnxEngine", shipped_engine.dlib_engine)
        for module in (
            "backend.commands.face_command",
            "biometrics.engines.sface",
        ):
            patch.setattr(f"{module}.SFaceEngine", shipped_engine.engine)
        patch.setattr("biometrics.liveness.landmark_model.Dlib68LandmarkModel", shipped_engine.landmark_model)
        yield


@pytest.fixture
def environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in settings_environment(settings).items():
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    configure_logging(as_json=False)  # as the command line does
    yield
    get_settings.cache_clear()
