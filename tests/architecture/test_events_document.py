"""docs/events.md says what the code does, and every event of the table is recorded somewhere."""

from functools import cache

import pytest

from backend.commands.events_command import BACKEND, flow, markdown
from backend.events import SUBSCRIPTIONS

pytestmark = pytest.mark.xdist_group("architecture")  # parsing the house takes a second: one process does

EVENTS = cache(flow)


def test_the_document_of_the_flow_is_the_flow() -> None:
    document = (BACKEND.parent / "docs" / "events.md").read_text(encoding="utf-8")
    assert document == markdown(EVENTS()) + "\n", "stale: run `dianming events > docs/events.md`"


def test_every_event_of_the_table_is_recorded_by_some_room() -> None:
    assert [each["event"] for each in EVENTS() if not each["recorded_by"]] == []


def test_every_consumer_is_on_the_page_beside_its_event() -> None:
    rows = {line.split("`")[1]: line for line in markdown(EVENTS()).splitlines() if line.startswith("| `")}
    for event, consumers in SUBSCRIPTIONS.items():
        assert [consumer.name for consumer in consumers if f"`{consumer.name}`" not in rows[event]] == []
