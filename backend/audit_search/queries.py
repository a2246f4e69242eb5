"""The search of the audit log, newest first. Actor, action, record, school and time have an index each."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Boolean,
    ColumnElement,
    Select,
    String,
    any_,
    cast,
    literal,
    literal_column,
    select,
    true,
)
from sqlalchemy.ext.asyncio import AsyncSession

from backend.audit_search.records import load_subjects
from backend.core.actor import Actor
from backend.core.audit import BY_PERSON_OR_NO_OUTCOME
from backend.core.errors import NotPermitted
from backend.core.listing.pages import ListPage, PageRequest, count_rows, load_page, select_page
from backend.core.listing.sorts import ListSorts
from backend.core.ltree import Ltree
from backend.core.tables import AuditEntry
from backend.org.queries import get_unit_in_subtree, is_in_subtree
from backend.org.tables import OrgUnit

OUTCOME_WRITTEN = "outcome.write"
NO_OUTCOME = literal_column("action <> 'outcome.write'", Boolean())
"""The predicate of the index by action, as a literal, so that the planner recognises it."""
BY_PERSON = literal_column("acting_account IS NOT NULL", Boolean())
"""The predicate of the index by actor."""


@dataclass(frozen=True, slots=True)
class AuditSearch:
    """Filters of the audit log; None means any. `since` is included, `until` is not."""

    student_id: UUID | None = None
    account_id: UUID | None = None
    unit_id: UUID | None = None
    action: str | None = None
    subject_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def is_narrow(self) -> bool:
        """Whether a filter finds few entries by an index of its own."""
        return any((self.student_id, self.account_id, self.action, self.subject_id))


@dataclass(frozen=True, slots=True)
class AuditPage:
    """A page of entries, and the names of their units by path."""

    page: ListPage[AuditEntry]
    unit_names: dict[str, str] = field(default_factory=dict)


AuditSort = Literal["at", "-at"]
AUDIT_SORTS = ListSorts(AuditEntry.id, {"at": AuditEntry.at}, default="-at")


async def search_audit(
    session: AsyncSession, actor: Actor, search: AuditSearch, request: PageRequest
) -> AuditPage:
    """A page of the entries of the actor's unit and below. Raises `NotFound` and `NotPermitted`."""
    if actor.role not in {"registrar", "bureau", "province"}:
        raise NotPermitted(
            reason_zh="审计记录由学校管理员和教育行政部门查看",
            reason_en="registrars and authorities read the audit log",
        )
    unit = await get_unit_in_subtree(session, actor, search.unit_id or actor.org_id)
    matching = select(AuditEntry).where(*_in_own_columns(search), *await _about_records(session, search))
    query = matching.where(*_in_unit(unit, search, request))
    found = await load_page(session, query, AUDIT_SORTS, replace(request, with_total=False))
    total = None
    if request.with_total:
        total = await count_rows(session, matching.where(*_below(unit)), AUDIT_SORTS)
    entries = [entry for (entry,) in found.rows]
    names = await _load_unit_names(session, {entry.org_path for entry in entries})
    return AuditPage(ListPage(entries, found.next_cursor, total), names)


def _in_own_columns(search: AuditSearch) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if search.account_id is not None:
        conditions += [BY_PERSON, AuditEntry.acting_account == search.account_id]
    if search.action is not None:
        conditions.append(AuditEntry.action == search.action)
        if search.action != OUTCOME_WRITTEN:
            conditions.append(NO_OUTCOME)
    if search.since is not None:
        conditions.append(AuditEntry.at >= search.since)
    if search.until is not None:
        conditions.append(AuditEntry.at < search.until)
    return conditions


async def _about_records(session: AsyncSession, search: AuditSearch) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if search.subject_id is not None:
        conditions += [BY_PERSON_OR_NO_OUTCOME, AuditEntry.subject_id == search.subject_id]
    if search.student_id is not None:
        subjects = await load_subjects(session, search.student_id)
        # The ids are few entries each: found by their index first, and only then sorted.
        found = (
            select(AuditEntry.id)
            .where(
                BY_PERSON_OR_NO_OUTCOME,
                AuditEntry.subject_id == any_(literal(list(subjects), ARRAY(String()))),
            )
            .cte("about_student")
            .prefix_with("MATERIALIZED", dialect="postgresql")
        )
        conditions.append(AuditEntry.id.in_(select(found.c.id)))
    return conditions


def _in_unit(unit: OrgUnit, search: AuditSearch, request: PageRequest) -> list[ColumnElement[bool]]:
    """Limit a page to a unit and those below, in a form that an index answers; row-level security holds anyway."""
    if unit.kind in {"school", "province"}:
        return _below(unit)
    if search.is_narrow:
        below = cast(AuditEntry.org_path, Ltree()).op("<@", is_comparison=True)(cast(unit.path, Ltree()))
        return [below]
    # A small bureau's entries are rare among those of the province: the first of each unit, by the index of units.
    units = _paths_below(unit).subquery()
    own = [*_in_own_columns(search), AuditEntry.org_path == units.c.path]
    first = select_page(select(AuditEntry.id).where(*own), AUDIT_SORTS, request).lateral()
    return [AuditEntry.id.in_(select(first.c.id).select_from(units.join(first, true())))]


def _below(unit: OrgUnit) -> list[ColumnElement[bool]]:
    """The entries of a unit and of those below, by the index of units."""
    if unit.kind == "province":
        return []
    if unit.kind == "school":
        return [AuditEntry.org_path == unit.path]
    return [AuditEntry.org_path.in_(_paths_below(unit))]


def _paths_below(unit: OrgUnit) -> Select[str]:
    return select(cast(OrgUnit.path, String).label("path")).where(is_in_subtree(unit.path))


async def _load_unit_names(session: AsyncSession, paths: set[str]) -> dict[str, str]:
    query = select(OrgUnit.path, OrgUnit.name).where(OrgUnit.path.in_(paths))
    return {row[0]: row[1] for row in await session.execute(query)}
