"""When retention runs. Pure."""

from datetime import datetime, timedelta

RUN_MINUTE = 37
"""The minute of every hour."""


def next_run_after(at: datetime) -> datetime:
    """The first run after an instant."""
    run = at.replace(minute=RUN_MINUTE, second=0, microsecond=0)
    return run if run > at else run + timedelta(hours=1)
