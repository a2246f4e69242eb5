"""A task that is enqueued once must have a retry strategy; a periodic task runs again anyway."""

from backend.core.jobs import job_app
from backend.worker import load_tasks


def test_every_task_is_periodic_or_retried() -> None:
    load_tasks()
    periodic = {name for name, _ in job_app.periodic_registry.periodic_tasks}
    own_tasks = {name for name in job_app.tasks if "builtin" not in name}
    assert periodic < own_tasks
    assert {name for name in own_tasks - periodic if job_app.tasks[name].retry_strategy is None} == set()
