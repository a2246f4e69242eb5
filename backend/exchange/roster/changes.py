"""The audit of an import: one entry for each changed student, with every field that changed.

Values of single fields are recorded, numbers masked. Of the columns that no rule reads, the headers are recorded, and of
family members their positions, because they are personal data of little weight.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.audit import Act, record_all
from backend.exchange.roster.staging import UPDATED_COLUMNS
from backend.people.identifiers import mask

BATCH_SIZE = 500
"""Entries written by one statement."""

_MASKED = frozenset({"phone"})
_NAMED = ("record", "family_members", "student_number")
"""Fields of which the audit names what changed, without the values."""


async def audit_changed_students(session: AsyncSession, school_path: str, sha256: str, at: datetime) -> None:
    """Record what the staged rows will change. Call it before the students are updated."""
    rows = await session.stream(_CHANGED)
    async for batch in rows.partitions(BATCH_SIZE):
        acts = [_act(row, school_path, sha256) for row in batch]
        await record_all(session, ((act, at) for act in acts if act.before))


def _act(row: Row[Any], school_path: str, sha256: str) -> Act:
    changed = list(_changed_fields(row))
    before: dict[str, Any] = {name: old for name, old, _ in changed}
    after: dict[str, Any] = {name: new for name, _, new in changed}
    return Act(
        "roster.student_updated",
        "student",
        str(row.student_id),
        school_path,
        before=before,
        after=after | {"file_sha256": sha256},
    )


def _changed_fields(row: Row[Any]) -> Iterator[tuple[str, Any, Any]]:
    """Each changed field with its value on the roll and in the file; for `_NAMED`, what of it changed."""
    values = dict(zip(row._fields, row, strict=True))
    for name in (*UPDATED_COLUMNS, "class_name"):
        old, new = values[f"old_{name}"], values[f"new_{name}"]
        if old != new:
            yield name, _shown(name, old), _shown(name, new)
    for name in _NAMED:
        if values[name]:
            yield name, values[name], values[name]


def _shown(name: str, value: Any) -> str | None:
    if value is None:
        return None
    return mask(str(value)) if name in _MASKED else str(value)


_COLUMNS = ", ".join(f"t.{name} AS old_{name}, s.{name} AS new_{name}" for name in UPDATED_COLUMNS)

_CHANGED = text(
    f"""
    SELECT t.id AS student_id, {_COLUMNS}, c.name AS old_class_name,
      CASE WHEN c.name_key = s.class_key THEN c.name ELSE s.class_name END AS new_class_name,
      t.student_number_index IS DISTINCT FROM s.student_number_index AS student_number,
      ARRAY(SELECT key FROM jsonb_each(t.record) a FULL JOIN jsonb_each(s.record) b USING (key)
            WHERE a.value IS DISTINCT FROM b.value ORDER BY key) AS record,
      ARRAY(SELECT position FROM
              (SELECT g.position, g.name, g.relation, g.is_guardian, g.phone FROM guardian g WHERE g.student_id = t.id)
                AS known
              FULL JOIN jsonb_to_recordset(s.members)
                AS m(position integer, name text, relation text, is_guardian boolean, phone text) USING (position)
            WHERE (known.name, known.relation, known.is_guardian, known.phone)
              IS DISTINCT FROM (m.name, m.relation, m.is_guardian, m.phone) ORDER BY position) AS family_members
    FROM roster_staging s JOIN student t ON t.id = s.student_id JOIN school_class c ON c.id = t.class_id
    WHERE s.action = 'updated'
    """  # noqa: S608 - the names are those of our own declaration
)
