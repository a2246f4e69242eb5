"""Whatever is enqueued once is tried again after a failure; only what the clock brings anyway may be let go."""

from backend.core.jobs import job_app
from backend.worker import load_jobs


def test_only_what_the_clock_brings_again_needs_no_retry() -> None:
    load_jobs()
    by_the_clock = {name for name, _ in job_app.periodic_registry.periodic_tasks}
    ours = {name for name in job_app.tasks if "builtin" not in name}
    assert by_the_clock < ours
    assert {name for name in ours - by_the_clock if job_app.tasks[name].retry_strategy is None} == set()
