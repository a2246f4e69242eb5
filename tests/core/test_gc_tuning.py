"""A serving process does not look through what it imported."""

import subprocess
import sys

SHOWN = """
import gc
from backend.core.process.gc_tuning import OLD_THRESHOLD, YOUNG_THRESHOLD, freeze_startup_objects
imported = len(gc.get_objects())
freeze_startup_objects()
cycle = []
cycle.append(cycle)
del cycle
assert gc.get_freeze_count() >= imported / 2, gc.get_freeze_count()
assert (gc.get_threshold()[0], gc.get_threshold()[2]) == (YOUNG_THRESHOLD, OLD_THRESHOLD)
assert gc.collect() >= 1, "what is made from here on is still collected"
"""

OF_A_WORKER = """
import sys
from types import SimpleNamespace
from backend.commands.deployment import worker_command
from backend.worker import TASK_MODULES

class Context:
    async def close(self):
        pass

def freeze_startup_objects():
    assert set(TASK_MODULES) <= sys.modules.keys()
    print("spared")

async def run_worker(app_context, *, concurrency):
    print("working")

worker_command.get_settings = lambda: SimpleNamespace(env="production")
worker_command.open_app_context = lambda settings: Context()
worker_command.freeze_startup_objects = freeze_startup_objects
worker_command.run_worker = run_worker
worker_command.command(concurrency=1)
"""


def test_what_was_imported_is_left_alone_and_new_cycles_are_not() -> None:
    subprocess.run([sys.executable, "-c", SHOWN], check=True, timeout=120)


def test_a_worker_spares_the_jobs_of_every_room_too() -> None:
    shown = subprocess.run(
        [sys.executable, "-c", OF_A_WORKER], check=True, timeout=120, stdout=subprocess.PIPE
    )
    assert shown.stdout.split() == [b"spared", b"working"]
