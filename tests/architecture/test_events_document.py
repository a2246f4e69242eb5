"""docs/events.md matches the table of subscriptions, and every event of the table is emitted somewhere."""

from functools import cache

import pytest

from backend.commands.events_command import BACKEND, list_events, render_page
from backend.events import SUBSCRIPTIONS

pytestmark = pytest.mark.xdist_group(
    "architecture"
)  # parsing all modules takes a second: do it in one process

EVENTS = cache(list_events)


def test_events_document_is_up_to_date() -> None:
    document = (BACKEND.parent / "docs" / "events.md").read_text(encoding="utf-8")
    assert document == render_page(EVENTS()) + "\n", "stale: run `dianming events > docs/events.md`"


def test_every_subscribed_event_is_emitted_by_some_package() -> None:
    assert [event["event"] for event in EVENTS() if not event["recorded_by"]] == []


def test_every_consumer_is_listed_with_its_event() -> None:
    rows = {line.split("`")[1]: line for line in render_page(EVENTS()).splitlines() if line.startswith("| `")}
    for event, consumers in ((event.__name__, each) for event, each in SUBSCRIPTIONS.items()):
        assert [consumer.name for consumer in consumers if f"`{consumer.name}`" not in rows[event]] == []
