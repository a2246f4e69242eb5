"""Pure rules about accounts and ages: no clock, no database."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from backend.core.actor import Role

MANAGING_ROLES: dict[str, Role] = {
    "province": "province",
    "city": "bureau",
    "county": "bureau",
    "school": "registrar",
}
"""The role that manages each kind of unit (HN334-2.3)."""

CONTACT_FIELDS = frozenset({"phone"})
"""Fields that a registrar can correct directly; all others are part of the legal record."""


@dataclass(frozen=True, slots=True)
class Unit:
    """An organisational unit, reduced to what decides authority over accounts."""

    id: str
    kind: str
    parent_id: str | None


def may_manage(acting_role: Role, acting_unit: str, kind: str, unit: Unit) -> bool:
    """Whether an account of a unit may create or disable an account of `kind` at `unit`.

    Only the direct superior may: the province for bureaus and its own schools, a bureau for the units directly
    under it, a registrar for counselors and students of their school (HN334-3.2). Only province accounts, which have no superior, manage
    their peers.
    """
    if kind in {"counselor", "student"}:
        return acting_role == "registrar" and unit.kind == "school" and unit.id == acting_unit
    if kind == "province":
        return acting_role == "province" and unit.kind == "province" and unit.id == acting_unit
    if acting_role not in {"province", "bureau"}:
        return False
    return MANAGING_ROLES.get(unit.kind) == kind and unit.parent_id == acting_unit


def age_on(birth_date: date, day: date) -> int:
    """The age in completed years. A birthday on 29 February counts as 1 March in other years."""
    before_birthday = (day.month, day.day) < (birth_date.month, birth_date.day)
    return day.year - birth_date.year - before_birthday


def delay_schedule(max_attempts: int, first: timedelta, longest: timedelta) -> list[timedelta]:
    """The delay after each failed attempt in a row: none, then `first` after `max_attempts`, doubled up to `longest`.

    The last item applies to all further failures.
    """
    delays, delay = [timedelta()] * (max_attempts - 1), min(first, longest)
    while delay < longest:
        delays.append(delay)
        delay = min(2 * delay, longest)
    return [*delays, longest]


def may_reset_authenticator(acting_role: Role, acting_path: str, kind: str, path: str, *, own: bool) -> bool:
    """Whether an account may request or approve the reset of an account's second factor: a peer's, or one below.

    The administrators of a unit and all its superiors may; two of them must act. An account cannot act for itself.
    """
    if own or kind == "student" or acting_role not in {"province", "bureau", "registrar"}:
        return False
    return path == acting_path or path.startswith(acting_path + ".")


@dataclass(frozen=True, slots=True)
class RefreshState:
    """The refresh token of a browser's session, by hashes: the current one, and the one that it replaced."""

    current: bytes
    previous: bytes | None
    rotated_at: datetime | None


RefreshStep = Literal["rotate", "keep", "repeat", "reused"]


def decide_refresh(state: RefreshState, presented: bytes, at: datetime, grace: timedelta) -> RefreshStep:
    """What to do with a presented refresh token.

    `rotate` replaces the current token. Within the grace after that, the replaced token gets its successor again
    (`repeat`: another tab, a lost answer), and the successor is kept (`keep`), so that a token has one successor during
    the whole grace. Any other token is `reused`: it was replaced before, so someone else has it.
    """
    in_grace = state.rotated_at is not None and at < state.rotated_at + grace
    if presented == state.current:
        return "keep" if in_grace else "rotate"
    return "repeat" if in_grace and presented == state.previous else "reused"
