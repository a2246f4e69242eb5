"""Every table of the back end, for migrations and for tests that compare them with the database."""

import importlib
import importlib.util

from backend.core.database import Base

PACKAGES = (
    "core",
    "org",
    "people",
    "identity",
    "identity.pictures",
    "identity.sign_in",
    "identity.passkeys",
    "identity.face.calibration",
    "identity.face.duplicates",
    "campus",
    "notice",
    "leave",
    "roll_call",
    "standing.store",
    "aid",
    "registration",
    "registration.schools",
    "registration.graduation",
    "appeal",
    "retention",
)

for package in PACKAGES:
    if importlib.util.find_spec(f"backend.{package}") and importlib.util.find_spec(
        f"backend.{package}.tables"
    ):
        importlib.import_module(f"backend.{package}.tables")

METADATA = Base.metadata
