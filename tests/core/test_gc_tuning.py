"""The garbage collector of a serving process skips startup objects."""

import subprocess
import sys

FREEZE_SCRIPT = """
import gc
from backend.core.process.gc_tuning import OLD_THRESHOLD, YOUNG_THRESHOLD, freeze_startup_objects
imported = len(gc.get_objects())
freeze_startup_objects()
cycle = []
cycle.append(cycle)
del cycle
assert gc.get_freeze_count() >= imported / 2, gc.get_freeze_count()
assert (gc.get_threshold()[0], gc.get_threshold()[2]) == (YOUNG_THRESHOLD, OLD_THRESHOLD)
assert gc.collect() >= 1, "later objects are still collected"
"""

WORKER_SCRIPT = """
import sys
from types import SimpleNamespace
from backend.commands.deployment import worker_command
from backend.worker import TASK_MODULES

class Context:
    async def close(self):
        pass

def freeze_startup_objects():
    assert set(TASK_MODULES) <= sys.modules.keys()
    print("frozen")

async def run_worker(app_context, *, concurrency):
    print("working")

worker_command.get_settings = lambda: SimpleNamespace(env="production")
worker_command.open_app_context = lambda settings: Context()
worker_command.freeze_startup_objects = freeze_startup_objects
worker_command.run_worker = run_worker
worker_command.command(concurrency=1)
"""


def test_startup_objects_are_frozen_and_new_cycles_collected() -> None:
    subprocess.run([sys.executable, "-c", FREEZE_SCRIPT], check=True, timeout=120)


def test_worker_loads_all_tasks_before_freezing() -> None:
    result = subprocess.run(
        [sys.executable, "-c", WORKER_SCRIPT], check=True, timeout=120, stdout=subprocess.PIPE
    )
    assert result.stdout.split() == [b"frozen", b"working"]
