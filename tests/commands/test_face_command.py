import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from backend.commands.face_command import app
from backend.local.sample_faces import sample_faces_dir, sample_people
from biometrics.pattern_engine import render_pattern

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def people() -> dict[str, tuple[Path, ...]]:
    return sample_people(sample_faces_dir(ROOT))


def answered(*arguments: object) -> dict[str, Any]:
    result = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert result.exit_code == 0, result.output
    payload: dict[str, Any] = json.loads(result.stdout)
    return payload


def refused(*arguments: object) -> str:
    result = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert result.exit_code == 2
    error = json.loads(result.stdout)["error"]
    assert error["message"]
    return str(error["code"])


def test_two_photographs_of_one_person_are_accepted(people: dict[str, tuple[Path, ...]]) -> None:
    answer = answered("compare", *people["obama"][:2])
    assert answer["decision"] == "accept"
    assert 0 < answer["score"] <= answer["threshold"] < answer["reject_threshold"]
    assert (answer["metric"], answer["engine"], answer["reasons"]) == ("l2", "dlib-onnx/1", [])
    assert answer["quality"]["a"]["faces"] == answer["quality"]["b"]["faces"] == 1
    assert answer["ms"]["total"] > 0


def test_photographs_of_two_persons_are_rejected(people: dict[str, tuple[Path, ...]]) -> None:
    answer = answered("compare", people["obama"][0], people["biden"][0])
    assert answer["decision"] == "reject"
    assert answer["score"] >= answer["reject_threshold"]


def test_a_picture_without_a_face_is_unusable_with_a_reason(
    people: dict[str, tuple[Path, ...]], tmp_path: Path
) -> None:
    pattern = tmp_path / "pattern.png"
    pattern.write_bytes(render_pattern(1, 0))
    answer = answered("compare", people["obama"][0], pattern)
    assert (answer["decision"], answer["score"]) == ("unusable", None)
    assert [(reason["image"], reason["code"]) for reason in answer["reasons"]] == [("b", "no_face")]


def test_the_test_engine_judges_only_when_asked_and_says_so(tmp_path: Path) -> None:
    files = [tmp_path / "1.png", tmp_path / "2.png"]
    for shot, file in enumerate(files):
        file.write_bytes(render_pattern(1, shot))
    assert answered("compare", *files)["decision"] == "unusable"
    answer = answered("compare", *files, "--with-test-engine")
    assert (answer["decision"], answer["engine"]) == ("accept", "test-pattern/1 (test only)")


def test_inspect_shows_measurements_and_fingerprint(people: dict[str, tuple[Path, ...]]) -> None:
    answer = answered("inspect", people["obama"][0])
    assert answer["usable"] is True
    assert (answer["format"], answer["width"], answer["height"]) == ("JPEG", 910, 1137)
    assert answer["quality"]["face_width_px"] > 200
    assert len(answer["fingerprint"]["sha256"]) == 64


def test_a_missing_file_is_bad_input(tmp_path: Path) -> None:
    assert refused("inspect", tmp_path / "none.jpg") == "file_unreadable"
    assert refused("compare", tmp_path, tmp_path) == "file_unreadable"


def test_what_is_no_picture_is_bad_input(tmp_path: Path) -> None:
    text = tmp_path / "letter.jpg"
    text.write_text("Dear Sir or Madam")
    assert refused("inspect", text) == "image_unsupported"
    assert refused("compare", text, text) == "image_unsupported"


def test_without_thresholds_in_force_nothing_is_compared(people: dict[str, tuple[Path, ...]]) -> None:
    assert refused("compare", *people["obama"][:2], "--day", "2001-01-01") == "absent_law"


def test_a_person_can_read_the_answers(people: dict[str, tuple[Path, ...]]) -> None:
    compared = CliRunner().invoke(app, ["compare", *map(str, people["obama"][:2])])
    inspected = CliRunner().invoke(app, ["inspect", str(people["obama"][0])])
    assert compared.stdout.startswith("accept: l2 0.")
    assert inspected.stdout.startswith("usable: JPEG 910 × 1137")
