"""Attacks on the running product: one file an attack, each with the verdict that it has to meet.

A file's docstring says in its first line what the attacker does. `EXPECTED` names the verdict, such as
`refused: nonce_used`, `second check` or `reported`. Its tests play the attack and compare the verdict.
"""

from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from types import ModuleType
from typing import cast

import pytest
from _pytest.terminal import TerminalReporter

from backend.core.app_context import AppContext
from backend.core.database import Database
from tests.support.identity.scenario import IdentityScenario, identity_scenario

FOLDER = Path(__file__).parent
ATTACK = "redteam_attack"
EXPECTED = "redteam_expected"


@pytest.fixture
async def identity(app_context: AppContext, owner: Database) -> AsyncIterator[IdentityScenario]:
    """A new sample province with both APIs."""
    async with identity_scenario(app_context, owner) as scenario:
        yield scenario


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each attack's reports its sentence and its expected verdict. Refuse an attack that lacks one."""
    for item in items:
        if item.path.parent != FOLDER:
            continue
        module = cast("ModuleType", cast("pytest.Function", item).module)
        sentence = (module.__doc__ or "").strip().partition("\n")[0]
        expected = getattr(module, "EXPECTED", None)
        if not sentence or not isinstance(expected, str):
            raise pytest.UsageError(f'{item.path.name}: an attack needs a docstring and EXPECTED = "verdict"')
        item.user_properties += [(ATTACK, sentence), (EXPECTED, expected)]


def pytest_terminal_summary(terminalreporter: TerminalReporter, config: pytest.Config) -> None:
    """Print attack, expected verdict and result, when only attacks were run (`make redteam`)."""
    if not all(Path(arg.partition("::")[0]).resolve().is_relative_to(FOLDER) for arg in config.args):
        return
    terminalreporter.section("attacks")
    for attack, expected, held in sorted(_read_results(terminalreporter)):
        terminalreporter.line(f"{'held  ' if held else 'BROKEN'}  {expected:<42}  {attack}")


def _read_results(reporter: TerminalReporter) -> Iterable[tuple[str, str, bool]]:
    for outcome in ("passed", "failed", "error"):
        for report in reporter.getreports(outcome):
            properties = dict(getattr(report, "user_properties", ()))
            if ATTACK in properties:
                yield str(properties[ATTACK]), str(properties[EXPECTED]), outcome == "passed"
