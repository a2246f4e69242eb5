"""The example of local law in CONTRIBUTING.md works as written."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from backend.commands.law_command import app

CONTRIBUTING = Path(__file__).resolve().parents[2] / "CONTRIBUTING.md"
YAML_BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture
def example(tmp_path: Path) -> tuple[Path, Path]:
    """The folder with the policy, and the file with the law cases."""
    section = CONTRIBUTING.read_text(encoding="utf-8").partition("## Example: a local limit")[2]
    policy, cases = YAML_BLOCK.findall(section)
    folder, case_file = tmp_path / "policies", tmp_path / "luoyang.yaml"
    folder.mkdir()
    (folder / "luoyang.yaml").write_text(policy, encoding="utf-8")
    case_file.write_text(cases, encoding="utf-8")
    return folder, case_file


def check_cases(case_file: Path) -> dict[str, bool]:
    """Name of each case → whether it passed."""
    output = CliRunner().invoke(app, ["check", str(case_file), "--json"]).stdout
    return {case["name"]: case["passed"] for case in json.loads(output)["cases"]}


def test_the_example_of_local_law_passes_with_its_policy(
    example: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, case_file = example
    monkeypatch.setenv("DIANMING_POLICIES", str(folder))
    assert list(check_cases(case_file).values()) == [True, True]


def test_the_example_of_local_law_needs_its_policy(example: tuple[Path, Path]) -> None:
    _, case_file = example
    assert list(check_cases(case_file).values()) == [False, True]
