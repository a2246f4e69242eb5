import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from backend.commands.face_command import app
from backend.devstack.sample_faces import sample_faces_dir, sample_people
from biometrics.engines.test_pattern import render_pattern

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.usefixtures("_engine_loaded_once"),
    pytest.mark.xdist_group("face_command"),  # one process loads the engine
]


@pytest.fixture(scope="module")
def people() -> dict[str, tuple[Path, ...]]:
    return sample_people(sample_faces_dir(ROOT))


def run_json(*arguments: object) -> dict[str, Any]:
    result = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert result.exit_code == 0, result.output
    payload: dict[str, Any] = json.loads(result.stdout)
    return payload


def run_error(*arguments: object) -> str:
    result = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert result.exit_code == 2
    error = json.loads(result.stdout)["error"]
    assert error["message"]
    return str(error["code"])


def test_two_photographs_have_a_score_but_no_decision(people: dict[str, tuple[Path, ...]]) -> None:
    answer = run_json("compare", people["obama"][0], people["obama"][2])
    assert answer["decision"] == "unproven"
    assert (answer["accept_from"], answer["reject_below"]) == (None, None)
    assert (answer["method"], answer["engine"], answer["reasons"]) == ("neutral", "sface/1", [])
    assert 0 < answer["distance"] < 1
    assert answer["quality"]["a"]["faces"] == answer["quality"]["b"]["faces"] == 1
    assert answer["ms"]["total"] > 0


def test_photographs_of_two_people_score_lower(people: dict[str, tuple[Path, ...]]) -> None:
    same = run_json("compare", people["obama"][0], people["obama"][2])
    different = run_json("compare", people["obama"][0], people["biden"][0])
    assert different["decision"] == "unproven"
    assert different["score"] < same["score"]


def test_picture_without_a_face_is_unusable_with_a_reason(
    people: dict[str, tuple[Path, ...]], tmp_path: Path
) -> None:
    pattern = tmp_path / "pattern.png"
    pattern.write_bytes(render_pattern(1, 0))
    answer = run_json("compare", people["obama"][0], pattern)
    assert (answer["decision"], answer["score"]) == ("unusable", None)
    assert [(reason["image"], reason["code"]) for reason in answer["reasons"]] == [("b", "no_face")]


def test_test_engine_is_used_only_on_request_and_marked(tmp_path: Path) -> None:
    files = [tmp_path / "1.png", tmp_path / "2.png"]
    for shot, file in enumerate(files):
        file.write_bytes(render_pattern(1, shot))
    assert run_json("compare", *files)["decision"] == "unusable"
    answer = run_json("compare", *files, "--with-test-engine")
    assert (answer["decision"], answer["engine"]) == ("accept", "test-pattern/1 (test only)")


def test_inspect_shows_measurements_and_fingerprint(people: dict[str, tuple[Path, ...]]) -> None:
    answer = run_json("inspect", people["obama"][0])
    assert answer["usable"] is True
    assert (answer["format"], answer["width"], answer["height"]) == ("JPEG", 910, 1137)
    assert answer["quality"]["face_width_px"] > 200
    assert len(answer["fingerprint"]["sha256"]) == 64


def test_missing_file_is_bad_input(tmp_path: Path) -> None:
    assert run_error("inspect", tmp_path / "none.jpg") == "file_unreadable"
    assert run_error("compare", tmp_path, tmp_path) == "file_unreadable"


def test_file_that_is_not_a_picture_is_bad_input(tmp_path: Path) -> None:
    text = tmp_path / "letter.jpg"
    text.write_text("Dear Sir or Madam")
    assert run_error("inspect", text) == "image_unsupported"
    assert run_error("compare", text, text) == "image_unsupported"


def test_text_output_is_readable(people: dict[str, tuple[Path, ...]]) -> None:
    compared = CliRunner().invoke(app, ["compare", str(people["obama"][0]), str(people["obama"][2])])
    inspected = CliRunner().invoke(app, ["inspect", str(people["obama"][0])])
    assert compared.stdout.startswith("unproven: 0.7")
    assert inspected.stdout.startswith("usable: JPEG 910 × 1137")
