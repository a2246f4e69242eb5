"""A serving process does not look through what it imported."""

import subprocess
import sys

SHOWN = """
import gc
from backend.core.garbage import FULL, OFTEN, spare_the_old
imported = len(gc.get_objects())
spare_the_old()
cycle = []
cycle.append(cycle)
del cycle
assert gc.get_freeze_count() >= imported / 2, gc.get_freeze_count()
assert (gc.get_threshold()[0], gc.get_threshold()[2]) == (OFTEN, FULL)
assert gc.collect() >= 1, "what is made from here on is still collected"
"""


def test_what_was_imported_is_left_alone_and_new_cycles_are_not() -> None:
    subprocess.run([sys.executable, "-c", SHOWN], check=True, timeout=120)
