"""An operator's own engine: the setting DIANMING_FACE_ENGINE and the option `--engine`."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from backend.commands.face_command import app
from backend.core.app_context import AppContext
from backend.devstack.sample_faces import sample_faces_dir, sample_people
from backend.policy import AbsentLaw
from backend.settings import Settings
from backend.worker import open_face_pool
from biometrics.engines.onnx_spec import EngineSpecInvalid
from biometrics.engines.registry import load_face_engines
from tests.support.biometrics.tiny_models import embedder_spec, write_engine_spec
from tests.support.environment import settings_environment

pytestmark = pytest.mark.usefixtures("_engine_loaded_once")

PHOTOGRAPH = sample_people(sample_faces_dir(Path(__file__).parents[2]))["obama"][0]


def with_engine(app_context: AppContext, file: Path) -> AppContext:
    changed = app_context.settings.model_copy(update={"face_engine": file, "test_engine": False})
    return replace(app_context, settings=changed)


def test_setting_is_read_from_the_environment(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings_environment(settings).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DIANMING_FACE_ENGINE", str(tmp_path / "engine.yaml"))
    assert Settings().face_engine == tmp_path / "engine.yaml"


def test_own_engine_precedes_the_shipped_one(tmp_path: Path) -> None:
    engines = load_face_engines(
        test_engine=False, own=write_engine_spec(tmp_path, embedder=embedder_spec(tmp_path))
    )
    assert [info.key.id for info in engines.infos()] == ["tiny", "sface", "dlib-onnx"]


def test_worker_does_not_start_without_policy_for_its_engine(app_context: AppContext, tmp_path: Path) -> None:
    file = write_engine_spec(tmp_path, embedder=embedder_spec(tmp_path))
    with pytest.raises(AbsentLaw, match=r"verification\.face\.tiny"):
        open_face_pool(with_engine(app_context, file))


def test_worker_does_not_start_with_an_invalid_description(app_context: AppContext, tmp_path: Path) -> None:
    with pytest.raises(EngineSpecInvalid, match=r"engine\.yaml"):
        open_face_pool(with_engine(app_context, tmp_path / "engine.yaml"))


def test_inspect_and_compare_accept_an_own_engine(tmp_path: Path) -> None:
    own = ["--engine", str(write_engine_spec(tmp_path, embedder=embedder_spec(tmp_path))), "--json"]
    inspected = json.loads(CliRunner().invoke(app, ["inspect", str(PHOTOGRAPH), *own]).stdout)
    assert inspected["engine"].startswith("tiny/1-")
    compared = json.loads(CliRunner().invoke(app, ["compare", *[str(PHOTOGRAPH)] * 2, *own]).stdout)
    assert (compared["decision"], compared["accept_from"]) == ("unproven", None)
