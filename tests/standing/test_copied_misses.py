"""Misses that are copied are those that are played."""

import json
import re
from collections import defaultdict
from typing import Any

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from tests.support.standing import copied_misses
from tests.support.standing.scenario import Registry, opened


async def rows_of(registry: Registry, number: int, *, copied: bool) -> tuple[dict[str, list[str]], Any]:
    """What so many misses wrote, by table, whatever the world calls its own; the clock after them, and when they began."""
    async with registry.stage.arrange() as session:
        names = await copied_misses.names_of(session, registry.stage.world)
        transaction = await copied_misses.first_transaction(session)
    before = registry._transactions()
    registry.begun = before if copied else -1
    roll_calls = await registry.misses(number)
    async with registry.stage.arrange() as session:
        written = await copied_misses.written(session, transaction, registry.since)
    return plain(written, names), [registry.at, *(each.opens_at for each in roll_calls)]


def plain(rows: copied_misses.Rows, names: list[str]) -> dict[str, list[str]]:
    """The rows in which every id is told by its place among the ids made, or by the rows that mention it."""
    labels = {name: f"<{number}>" for number, name in enumerate(names)}
    made = sorted({found[0] for found in re.finditer(copied_misses.ID, rows.text)} - labels.keys())
    ordered = [each for each in made if each[copied_misses.VERSION] == "7" and each > str(rows.since)]
    labels |= {identifier: f"<made {number}>" for number, identifier in enumerate(ordered)}
    drawn = {each for each in made if each[copied_misses.VERSION] == "4"}
    mentions = defaultdict(list)
    tables = {table: [json.dumps(row) for row in json.loads(each)] for table, each in rows.texts.items()}
    for table, found in tables.items():
        for row in found:
            for identifier in drawn:
                if identifier in row:
                    mentions[identifier].append(
                        f"{table} {replaced(row, labels | dict.fromkeys(drawn, '?'))}"
                    )
    labels |= {identifier: f"<{sorted(rows)}>" for identifier, rows in mentions.items()}
    return {table: sorted(replaced(row, labels) for row in found) for table, found in tables.items()}


def replaced(row: str, labels: dict[str, str]) -> str:
    longest_first = sorted(labels, key=len, reverse=True)
    return re.sub("|".join(map(re.escape, longest_first)), lambda found: labels[found[0]], row)


@pytest.mark.parametrize("number", [1, copied_misses.MOST])
async def test_copied_misses_are_row_by_row_what_played_ones_are(
    app_context: AppContext, owner: Database, number: int
) -> None:
    played = await rows_of(await opened(app_context, owner), number, copied=False)
    copied = await rows_of(await opened(app_context, owner), number, copied=True)
    assert copied == played
    assert {"roll_call", "obligation", "outcome_entry", "notice_receipt", "outbox_event"} <= played[0].keys()


async def test_misses_are_played_where_anything_happened_before(registry: Registry) -> None:
    await registry.recompute()
    assert registry.pattern is not None
    assert not registry._nothing_happened(registry.pattern)


async def test_misses_are_played_at_another_hour(registry: Registry) -> None:
    registry.pass_time(minutes=1)
    assert registry.pattern is not None
    assert not registry._nothing_happened(registry.pattern)
