"""The unit tests of the front ends, which run in Node.js."""

from pathlib import Path

import pytest

from backend.devstack.web import ensure_node, install_packages, run_npm

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.xdist_group("web"), pytest.mark.timeout(600)]


def test_unit_tests_of_the_front_ends_pass() -> None:
    node = ensure_node(ROOT)
    install_packages(ROOT, node)
    run_npm(node, ROOT / "web", ["test"])
