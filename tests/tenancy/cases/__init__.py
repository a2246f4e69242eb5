"""Rows of the matrix and the records that they need, one module per area.

A module lists its rows in STAFF and MOBILE. `create_records` creates their records in one school and returns ids by
name.
"""

from typing import Any, Protocol

from backend.core.actor import Actor
from tests.support.province import SampleSchool
from tests.tenancy.cases import (
    aid,
    appeals,
    bulk_acts,
    changes,
    claims,
    differences,
    duplicates,
    explanations,
    face_thresholds,
    files,
    guardians,
    law,
    looks,
    phone_changes,
    pictures,
    prompts,
    quarantine,
    registration,
    retention,
    verification,
)
from tests.tenancy.rows import Row


class CaseModule(Protocol):
    """The contents of a module of this package."""

    STAFF: tuple[Row, ...]
    MOBILE: tuple[Row, ...]

    async def create_records(
        self, builder: Any, school: SampleSchool, superior: Actor, existing: dict[str, Any]
    ) -> dict[str, Any]:
        """Create the records in a school; `existing` has those of the modules before."""
        ...


CASE_MODULES: tuple[CaseModule, ...] = (
    prompts,
    claims,
    changes,
    aid,
    appeals,
    files,
    explanations,
    retention,
    verification,
    phone_changes,
    quarantine,
    registration,
    pictures,
    face_thresholds,
    looks,
    duplicates,
    differences,
    guardians,
    bulk_acts,
    law,
)
