"""Every table of the house, for migrations and for the tests that compare them with the database."""

import importlib
import importlib.util

from backend.core.database import Base

ROOMS = (
    "core",
    "org",
    "people",
    "identity",
    "campus",
    "notice",
    "leave",
    "roll_call",
    "standing.store",
    "aid",
    "appeal",
    "retention",
)

for room in ROOMS:
    if importlib.util.find_spec(f"backend.{room}") and importlib.util.find_spec(f"backend.{room}.tables"):
        importlib.import_module(f"backend.{room}.tables")

METADATA = Base.metadata
