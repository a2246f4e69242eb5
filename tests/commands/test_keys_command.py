"""`dianming keys`: rotation of the root key of face templates (THREATS 23)."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from backend.commands.deployment.keys_command import app
from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.core.keys import KeyRing
from backend.core.tenancy import Scope
from backend.identity.face.template_keys import create_data_key, load_data_key
from backend.settings import Settings, get_settings
from tests.support.identity.template_keys import without_existing_keys
from tests.support.province import create_sample_province

pytestmark = pytest.mark.usefixtures("environment")


@pytest.fixture
def key_file(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the key file for this test alone."""
    path = tmp_path / "keys.json"
    shutil.copy(settings.keys_file, path)
    monkeypatch.setenv("DIANMING_KEYS_FILE", str(path))
    get_settings.cache_clear()
    return path


@pytest.fixture
async def without_other_keys(owner: Database) -> AsyncIterator[None]:
    async with without_existing_keys(owner):
        yield


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--json"])


async def run(*arguments: str) -> Result:
    return await asyncio.to_thread(invoke, *arguments)


def versions(path: Path) -> set[str]:
    return set(json.loads(path.read_text())["template-root"]) - {"current"}


@pytest.mark.usefixtures("without_other_keys")
async def test_three_commands_rotate_the_root_and_retire_the_old_version(
    key_file: Path, app_context: AppContext, owner: Database
) -> None:
    pupil = (await create_sample_province(owner, app_context.keys)).school.students[0]
    async with app_context.database.transaction(Scope.school(pupil.school_id)) as session:
        stored_key = await create_data_key(
            session, app_context.keys, pupil.school_id, pupil.id, app_context.clock()
        )
    rotated = await run("rotate", "template-root", "--file-only")
    assert (rotated.exit_code, json.loads(rotated.stdout)["version"]) == (0, "2")
    too_early = await run("retire", "template-root", "1")
    assert too_early.exit_code == 2
    assert "rewrap" in json.loads(too_early.stdout)["error"]["message"]
    rewrapped = await run("rewrap")
    assert json.loads(rewrapped.stdout) == {"version": "2", "schools": 1, "unreadable": 0}
    assert (await run("retire", "template-root", "1")).exit_code == 0
    assert versions(key_file) == {"2"}
    async with app_context.database.transaction(Scope.school(pupil.school_id)) as session:
        assert await load_data_key(session, KeyRing.load(key_file), pupil.id) == stored_key


@pytest.mark.usefixtures("without_other_keys")
async def test_rotate_adds_a_version_and_rewraps(key_file: Path) -> None:
    answer = await run("rotate", "template-root")
    assert answer.exit_code == 0, answer.output
    assert json.loads(answer.stdout) == {"version": "2", "schools": 0, "unreadable": 0}
    assert versions(key_file) == {"1", "2"}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("rotate", "identifier"), "purpose_not_rotated"),
        (("retire", "receipt", "1"), "purpose_not_rotated"),
        (("retire", "template-root", "9"), "version_unknown"),
        (("retire", "template-root", "current"), "conflict"),
    ],
)
def test_invalid_rotation_is_rejected_and_changes_nothing(
    key_file: Path, arguments: tuple[str, ...], code: str
) -> None:
    before = key_file.read_bytes()
    answer = invoke(*arguments)
    assert (answer.exit_code, json.loads(answer.stdout)["error"]["code"]) == (2, code)
    assert key_file.read_bytes() == before


def test_missing_key_file_is_reported(key_file: Path) -> None:
    key_file.unlink()
    answer = invoke("rotate", "template-root", "--file-only")
    assert (answer.exit_code, json.loads(answer.stdout)["error"]["code"]) == (2, "keys_missing")
