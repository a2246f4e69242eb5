import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from backend.commands.geo_command import app
from geo.datum import Datum, convert

MIDDLE = (113.6025, 34.7015)
RING = [[113.600, 34.700], [113.605, 34.700], [113.605, 34.703], [113.600, 34.703], [113.600, 34.700]]
DAY = ["--day", "2026-09-01"]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    path = tmp_path / "site.geojson"
    path.write_text(json.dumps({"type": "Polygon", "coordinates": [RING]}), encoding="utf-8")
    return path


def run(site: Path, *fixes: str, options: tuple[str, ...] = ("--json",)) -> Result:
    arguments = ["decide", "--site", str(site), *DAY, *options]
    for fix in fixes:
        arguments += ["--fix", fix]
    return CliRunner().invoke(app, arguments)


def run_json(site: Path, *fixes: str) -> dict[str, Any]:
    result = run(site, *fixes)
    assert result.exit_code == 0, result.output
    payload = json.loads(result.stdout)
    assert isinstance(payload, dict)
    return payload


def error_code(result: Result) -> object:
    assert result.exit_code == 2, result.output
    error = json.loads(result.stdout)["error"]
    assert set(error) == {"code", "message"}
    return error["code"]


@pytest.mark.clause("HN334-3.4")
def test_fix_on_campus_is_inside_by_the_policy_in_force(site: Path) -> None:
    payload = run_json(site, "113.6025,34.7015,15")
    assert payload["decision"] == "inside"
    assert payload["distance_m"] == pytest.approx(-166.4, abs=0.2)
    assert payload["probability_inside"] == 1.0
    assert payload["reasons"] == []


@pytest.mark.parametrize("datum", Datum)
def test_declared_datum_is_used(site: Path, datum: Datum) -> None:
    lon, lat = convert(*MIDDLE, source=Datum.WGS84, target=datum)
    assert run_json(site, f"{lon},{lat},15,{datum}")["distance_m"] == pytest.approx(-166.4, abs=0.2)


def test_several_fixes_are_judged_together(site: Path) -> None:
    assert run_json(site, "113.6025,34.7015,10", "113.5980,34.7015,10")["decision"] == "uncertain"


def test_coarse_fix_is_uncertain_with_a_reason(site: Path) -> None:
    payload = run_json(site, "113.6025,34.7015,400")
    assert (payload["decision"], payload["reasons"]) == ("uncertain", ["accuracy_coarse"])


def test_text_output_says_what_to_do_in_both_languages(site: Path) -> None:
    shown = run(site, "113.6025,34.7015,400", options=()).stdout
    assert "精确位置" in shown
    assert "allow precise location" in shown


@pytest.mark.parametrize(
    ("fix", "code"),
    [
        ("nan,34.7,10", "fix_not_finite"),
        ("113.6,inf,10", "fix_not_finite"),
        ("113.6,34.7,NaN", "fix_not_finite"),
        ("113.6,95,10", "fix_out_of_range"),
        ("34.7,113.6,10", "fix_out_of_range"),
        ("-181,2,3", "fix_out_of_range"),
        ("113.6,34.7,-5", "fix_accuracy_invalid"),
        ("113.6,34.7,0", "fix_accuracy_invalid"),
        ("113.6,34.7", "fix_malformed"),
        ("113.6,34.7,x", "fix_malformed"),
        ("113.6,34.7,5,wgs84,6", "datum_unknown"),
        ("113.6,34.7,1,2,wgs84", "fix_malformed"),
        ("", "fix_malformed"),
        ("113.6,34.7,10,mars", "datum_unknown"),
    ],
)
def test_invalid_fix_is_rejected_with_its_code(site: Path, fix: str, code: str) -> None:
    assert error_code(run(site, fix)) == code


def test_negative_longitude_is_not_parsed_as_an_option(site: Path) -> None:
    assert run_json(site, "-1,2,3")["decision"] == "outside"


def test_missing_or_invalid_site_is_rejected(site: Path, tmp_path: Path) -> None:
    assert error_code(run(tmp_path / "nowhere.geojson", "113.6,34.7,10")) == "site_unreadable"
    assert error_code(run(tmp_path, "113.6,34.7,10")) == "site_unreadable"
    site.write_bytes(b"\xff\xfe\x00")
    assert error_code(run(site, "113.6,34.7,10")) == "site_unreadable"
    site.write_text("{}", encoding="utf-8")
    assert error_code(run(site, "113.6,34.7,10")) == "site_invalid"


def test_day_before_the_policy_is_rejected(site: Path) -> None:
    result = CliRunner().invoke(
        app, ["decide", "--site", str(site), "--fix", "113.6,34.7,10", "--day", "2020-01-01", "--json"]
    )
    assert error_code(result) == "absent_law"


def test_text_output_uses_stdout_and_errors_use_stderr(site: Path) -> None:
    shown = run(site, "113.6025,34.7015,15", options=())
    assert shown.stdout.startswith("inside: 166.4 m inside the edge")
    refused = run(site, "nan,34.7,10", options=())
    assert refused.exit_code == 2
    assert refused.stdout == ""
    assert refused.stderr.startswith("fix_not_finite")
