"""Pure decisions about accounts and consents: no clock, no database."""

from dataclasses import dataclass
from datetime import date

from backend.core.actor import Role

KIND_OF_UNIT: dict[str, Role] = {
    "province": "province",
    "city": "bureau",
    "county": "bureau",
    "school": "registrar",
}
"""The account that manages a unit of each kind (HN334-2.3)."""

CONTACT_FIELDS = frozenset({"phone"})
"""What a registrar may correct at once; everything else is the legal record."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of the tree as far as authority over accounts goes."""

    id: str
    kind: str
    parent_id: str | None


def may_manage(acting_kind: Role, acting_unit: str, kind: str, unit: Unit) -> bool:
    """Whether an account of a unit may create or disable an account of `kind` at `unit`.

    Always the direct superior: province → bureaus and the schools directly under it, bureau → the units
    directly under it, registrar → counselors and students of the own school (HN334-3.2). Nobody manages peers.
    """
    if kind in {"counselor", "student"}:
        return acting_kind == "registrar" and unit.kind == "school" and unit.id == acting_unit
    if acting_kind not in {"province", "bureau"}:
        return False
    return KIND_OF_UNIT.get(unit.kind) == kind and unit.parent_id == acting_unit


def age_on(birth_date: date, day: date) -> int:
    """Completed years; someone born on 29 February has the birthday on 1 March in other years."""
    before_birthday = (day.month, day.day) < (birth_date.month, birth_date.day)
    return day.year - birth_date.year - before_birthday
