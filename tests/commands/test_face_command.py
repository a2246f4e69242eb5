import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from backend.commands.face_command import app
from backend.core.clock import legal_day, now
from backend.devstack.sample_faces import sample_faces_dir, sample_people
from backend.identity.face.policy import scoring, thresholds
from backend.policy import load_policies
from biometrics.engines.sface import KEY
from biometrics.engines.test_pattern import render_pattern
from biometrics.matching.decision import Method
from biometrics.matching.scoring import ScoringConfig
from biometrics.pictures.decoding import DecodeLimits, Picture

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.usefixtures("_engine_loaded_once"),
    pytest.mark.xdist_group("face_command"),  # a calibration takes seconds: one process runs it
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


def test_two_photographs_of_one_person_are_accepted(people: dict[str, tuple[Path, ...]]) -> None:
    answer = run_json("compare", people["obama"][0], people["obama"][2])
    assert answer["decision"] == "accept"
    assert answer["reject_below"] < answer["accept_from"] <= answer["score"] <= 1
    assert (answer["method"], answer["engine"], answer["reasons"]) == ("neutral", "sface/1", [])
    assert 0 < answer["distance"] < 1
    assert answer["quality"]["a"]["faces"] == answer["quality"]["b"]["faces"] == 1
    assert answer["ms"]["total"] > 0


def test_photographs_of_two_people_are_rejected(people: dict[str, tuple[Path, ...]]) -> None:
    answer = run_json("compare", people["obama"][0], people["biden"][0])
    assert answer["decision"] == "reject"
    assert answer["score"] < answer["reject_below"]


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


def test_comparison_requires_thresholds_in_force(people: dict[str, tuple[Path, ...]]) -> None:
    assert run_error("compare", *people["obama"][:2], "--day", "2001-01-01") == "absent_law"


def test_text_output_is_readable(people: dict[str, tuple[Path, ...]]) -> None:
    compared = CliRunner().invoke(app, ["compare", str(people["obama"][0]), str(people["obama"][2])])
    inspected = CliRunner().invoke(app, ["inspect", str(people["obama"][0])])
    assert compared.stdout.startswith("accept: 0.8")
    assert inspected.stdout.startswith("usable: JPEG 910 × 1137")


# --- calibrate ---


@pytest.fixture(scope="module")
def folders(people: dict[str, tuple[Path, ...]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs of twelve people, one folder per person."""
    root = tmp_path_factory.mktemp("people")
    for name in sorted(name for name in people if name.startswith("att-"))[:12]:
        (root / name).mkdir()
        for path in people[name][:4]:
            shutil.copy(path, root / name / path.name)
    return root


@pytest.fixture(scope="module")
def report(folders: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run_json("calibrate", tmp_path_factory.mktemp("out") / "report", "--pictures", folders)


def test_calibration_leaves_a_range_for_another_attempt(report: dict[str, Any]) -> None:
    assert (report["chosen"], report["people"], report["fmr"]) == ("neutral", 12, 0.001)
    assert report["reject_below"] < report["accept_from"] < 1
    assert report["tar"] > 0.9


def test_policy_file_of_a_calibration_takes_effect_at_its_place(
    report: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(report["law"], tmp_path / "faces.yaml")
    monkeypatch.setenv("DIANMING_POLICIES", str(tmp_path))
    law = load_policies().at(legal_day(now()), "410181")
    found = thresholds(law, KEY, Method.NEUTRAL)
    assert (found.accept_from, found.reject_below) == (report["accept_from"], report["reject_below"])
    assert scoring(law, KEY, population_version=3) == ScoringConfig(Method.NEUTRAL)
    shipped = load_policies().at(legal_day(now()), "420000")
    assert thresholds(shipped, KEY, Method.NEUTRAL) != found


def test_calibration_report_has_plots_and_all_candidates(report: dict[str, Any]) -> None:
    page = Path(report["report"])
    for plot in ("scores.png", "det.png"):
        assert Picture.open((page.parent / plot).read_bytes(), DecodeLimits()).width > 500
        assert plot in page.read_text("utf-8")
    document = json.loads((page.parent / "report.json").read_text("utf-8"))
    assert document["engine"] == "sface/1"
    assert [each["method"] for each in document["candidates"]] == [
        "neutral"
    ]  # too few people for a population


def test_report_is_never_overwritten(report: dict[str, Any], folders: Path) -> None:
    assert run_error("calibrate", Path(report["report"]).parent, "--pictures", folders) == "out_exists"


def test_calibration_requires_enough_people(people: dict[str, tuple[Path, ...]], tmp_path: Path) -> None:
    (tmp_path / "in" / "obama").mkdir(parents=True)
    shutil.copy(people["obama"][0], tmp_path / "in" / "obama")
    assert (
        run_error("calibrate", tmp_path / "out", "--pictures", tmp_path / "in") == "face_population_too_small"
    )
    assert not (tmp_path / "out").exists()


def test_unreadable_picture_is_reported_and_skipped(folders: Path, tmp_path: Path) -> None:
    people = tmp_path / "people"
    shutil.copytree(folders, people)
    broken = next(people.iterdir()) / "broken.jpg"
    broken.write_bytes(b"Dear Sir or Madam")
    result = CliRunner().invoke(
        app, ["calibrate", str(tmp_path / "out"), "--pictures", str(people), "--json"]
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["people"] == 12
    assert str(broken) in result.stderr


@pytest.mark.parametrize("place", ["41", "abcdef"])
def test_unknown_division_is_bad_input(folders: Path, tmp_path: Path, place: str) -> None:
    assert run_error("calibrate", tmp_path / "out", "--pictures", folders, "--place", place) == "bad_input"


def test_missing_folder_is_bad_input(tmp_path: Path) -> None:
    assert run_error("calibrate", tmp_path / "out", "--pictures", tmp_path / "none") == "folder_unreadable"
