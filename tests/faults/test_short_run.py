"""The short run of the harness: one small roll call while processes are killed."""

import os
import subprocess
import sys

import pytest

from tests.faults.template_cluster import ROOT

SEED = 1


@pytest.mark.xdist_group("faults")
@pytest.mark.timeout(900)
def test_acknowledged_check_ins_survive_kills_exactly_once() -> None:
    command = [sys.executable, "-m", "tests.faults", "--short", "--seed", str(SEED)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "0 lost, 0 falsely missed, 0 doubled" in run.stdout
