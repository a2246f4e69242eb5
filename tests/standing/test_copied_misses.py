"""Copied misses equal misses run by the real services."""

import json
import re
from collections import defaultdict
from typing import Any

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from tests.support.standing import copied_misses
from tests.support.standing.scenario import StandingScenario, create_standing_scenario


async def run_and_load_rows(
    scenario: StandingScenario, number: int, *, copied: bool
) -> tuple[dict[str, list[str]], Any]:
    """The rows of misses by table, without ids and names; then the clock, and when each check opened."""
    async with scenario.roll_call_scenario.owner_transaction() as session:
        names = await copied_misses.load_names(session, scenario.roll_call_scenario.world)
        transaction = await copied_misses.first_transaction(session)
    before = scenario._transactions()
    scenario.transactions_at_start = before if copied else -1
    roll_calls = await scenario.misses(number)
    async with scenario.roll_call_scenario.owner_transaction() as session:
        rows = await copied_misses.load_written(session, transaction, scenario.since)
    return normalise(rows, names), [scenario.at, *(each.opens_at for each in roll_calls)]


def normalise(rows: copied_misses.Rows, names: list[str]) -> dict[str, list[str]]:
    """The rows with each id replaced by its position among the new ids, or by the rows that mention it."""
    labels = {name: f"<{number}>" for number, name in enumerate(names)}
    made = sorted({match[0] for match in re.finditer(copied_misses.ID, rows.text)} - labels.keys())
    ordered = [each for each in made if each[copied_misses.VERSION] == "7" and each > str(rows.since)]
    labels |= {identifier: f"<made {number}>" for number, identifier in enumerate(ordered)}
    drawn = {each for each in made if each[copied_misses.VERSION] == "4"}
    mentions = defaultdict(list)
    tables = {table: [json.dumps(row) for row in json.loads(each)] for table, each in rows.texts.items()}
    for table, table_rows in tables.items():
        for row in table_rows:
            for identifier in drawn:
                if identifier in row:
                    mentions[identifier].append(
                        f"{table} {replace_labels(row, labels | dict.fromkeys(drawn, '?'))}"
                    )
    labels |= {identifier: f"<{sorted(rows)}>" for identifier, rows in mentions.items()}
    return {
        table: sorted(replace_labels(row, labels) for row in table_rows)
        for table, table_rows in tables.items()
    }


def replace_labels(row: str, labels: dict[str, str]) -> str:
    longest_first = sorted(labels, key=len, reverse=True)
    return re.sub("|".join(map(re.escape, longest_first)), lambda match: labels[match[0]], row)


@pytest.mark.parametrize("number", [1, copied_misses.MOST])
async def test_copied_misses_have_the_same_rows_as_real_ones(
    app_context: AppContext, owner: Database, number: int
) -> None:
    real = await run_and_load_rows(await create_standing_scenario(app_context, owner), number, copied=False)
    copied = await run_and_load_rows(await create_standing_scenario(app_context, owner), number, copied=True)
    assert copied == real
    assert {"roll_call", "obligation", "outcome_entry", "notice_receipt", "outbox_event"} <= real[0].keys()


async def test_misses_are_not_copied_if_anything_happened_before(scenario: StandingScenario) -> None:
    await scenario.recompute()
    assert scenario.recording is not None
    assert not scenario._nothing_happened(scenario.recording)


async def test_misses_are_not_copied_at_another_hour(scenario: StandingScenario) -> None:
    scenario.pass_time(minutes=1)
    assert scenario.recording is not None
    assert not scenario._nothing_happened(scenario.recording)
