"""Staging: rows are encrypted, digested and copied to a temporary table before they are compared with the roll."""

import asyncio
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import islice
from types import MappingProxyType
from typing import Any, get_type_hints
from uuid import UUID

from psycopg import sql
from psycopg.types.json import Jsonb
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.database import driver_connection
from backend.core.ids import new_id
from backend.core.keys import KeyRing
from backend.core.match_keys import match_key, name_key
from backend.exchange.roster.rows import Member, RosterRow, StudentColumn
from backend.exchange.roster.template import MEMBERS
from backend.people.identifiers import IdNumber, mask, parse_id_number
from backend.people.queries import id_number_context, student_number_context

TABLE = "roster_staging"
BATCH_SIZE = 500
"""Rows encrypted at a time, in a thread."""

NOT_STORED = frozenset(f"{member}身份证件号码" for member in MEMBERS)
"""ID numbers of relatives: no rule needs them, and what is not stored cannot leak."""


def _list_student_columns() -> Iterator[tuple[str, StudentColumn]]:
    for name, hint in get_type_hints(RosterRow, include_extras=True).items():
        for metadata in getattr(hint, "__metadata__", ()):
            if isinstance(metadata, StudentColumn):
                yield name, metadata


STUDENT_COLUMNS = MappingProxyType(dict(_list_student_columns()))
"""The columns of `student` that a roster fills as they stand, by name; declared by the fields of `RosterRow`."""

UPDATED_COLUMNS = tuple(name for name, column in STUDENT_COLUMNS.items() if column.updated)
"""Those that a later roster may change."""

_OTHER_COLUMNS = {
    "sheet": "text",
    "row": "integer",
    "masked_number": "text",
    "new_id": "uuid",
    "id_number_sealed": "bytea",
    "id_number_index": "bytea",
    "student_number_sealed": "bytea",
    "student_number_index": "bytea",
    "name_key": "text",
    "class_name": "text",
    "class_key": "text",
    "grade": "integer",
    "record": "jsonb",
    "members": "jsonb",
    "digest": "bytea",
}
COPIED_COLUMNS = {**_OTHER_COLUMNS, **{name: column.sql_type for name, column in STUDENT_COLUMNS.items()}}
"""Every column that is copied, with its SQL type."""
_COMPARED_COLUMNS = {
    "student_id": "uuid",
    "action": "text",
    "refusal": "text",
    "stored_study_form": "text",
    "proposed_phone": "text",
    "phone_finding": "text",
}
"""Filled by comparing with the roll: the student of the row, and `updated`, `unchanged` or NULL for a new student.
`refusal`: why a new student may not be registered."""

_ID_NUMBER = re.compile(r"(?<![0-9])[0-9]{17}[0-9Xx](?![0-9])")


@dataclass(frozen=True, slots=True)
class StagedRow:
    """One row of the temporary table.

    `new_id` becomes the student's id if the row creates one; the encrypted numbers are bound to it. `digest` covers
    everything that a later import may change, so not the study form and the place in the file. ID numbers enter it
    by their blind indexes only, because a plain hash of them could be searched for.
    """

    values: Mapping[str, Any]

    def as_tuple(self) -> tuple[Any, ...]:
        """The values in the order of `COPIED_COLUMNS`."""
        return tuple(self.values[name] for name in COPIED_COLUMNS)


def stage_row(row: RosterRow, keys: KeyRing) -> StagedRow:
    """Encrypt the numbers of one row and compute its digest."""
    student_id = new_id()
    student_number = row.student_number.encode() if row.student_number else None
    record, members = _record(row), [_member_columns(member) for member in row.members]
    values = {
        **{name: column.convert(getattr(row, name)) for name, column in STUDENT_COLUMNS.items()},
        "sheet": row.sheet,
        "row": row.row,
        "masked_number": mask(row.document_number),
        "new_id": student_id,
        "id_number_sealed": _encrypt(keys, row.document_number.encode(), id_number_context(student_id)),
        "id_number_index": keys.blind_index(row.document_number),
        "student_number_sealed": student_number
        and _encrypt(keys, student_number, student_number_context(student_id)),
        "student_number_index": keys.blind_index(row.student_number) if row.student_number else None,
        "name_key": name_key(row.name),
        "class_name": row.class_name,
        "class_key": match_key(row.class_name),
        "grade": int(row.entry_month[:4]),
        "record": Jsonb(record),
        "members": Jsonb([{"id": str(new_id()), **member} for member in members]),
    }
    return StagedRow({**values, "digest": _digest(values, record, members)})


def _encrypt(keys: KeyRing, number: bytes, context: bytes) -> bytes:
    return keys.encrypt("identifier", number, context)


def _record(row: RosterRow) -> dict[str, str]:
    """The columns that no rule reads, by header. ID numbers in them are masked."""
    record = {
        header: _ID_NUMBER.sub(_mask_id_number, cell)
        for header, cell in row.extras.items()
        if header not in NOT_STORED
    }
    if row.attendance is not None:
        record["就读方式"] = row.attendance
    if row.length_years is not None:
        record["学制"] = str(row.length_years)
    return record


def _mask_id_number(match: re.Match[str]) -> str:
    """Schools write ID numbers into other columns too, as an examination number or among remarks."""
    number = match.group()
    return mask(number) if isinstance(parse_id_number(number, today=date.max), IdNumber) else number


def _member_columns(member: Member) -> dict[str, Any]:
    return {
        "position": member.position,
        "name": member.name,
        "relation": member.relation,
        "is_guardian": member.is_guardian,
        "phone": member.phone,
    }


def _digest(values: Mapping[str, Any], record: dict[str, str], members: list[dict[str, Any]]) -> bytes:
    facts = {
        **{name: values[name] for name in (*UPDATED_COLUMNS, "class_key")},
        "id_number_index": values["id_number_index"].hex(),
        "student_number_index": values["student_number_index"] and values["student_number_index"].hex(),
        "record": record,
        "members": members,
    }
    canonical = json.dumps(
        facts, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=_json_default
    )
    return hashlib.sha256(canonical.encode()).digest()


def _json_default(value: object) -> str:
    assert isinstance(value, date | UUID), f"{type(value).__name__} needs a JSON form"
    return str(value)


def _take_batches(rows: Iterable[RosterRow]) -> Iterator[list[RosterRow]]:
    remaining = iter(rows)
    while batch := list(islice(remaining, BATCH_SIZE)):
        yield batch


async def copy_to_staging(session: AsyncSession, rows: Iterable[RosterRow], keys: KeyRing) -> None:
    """Create the temporary table and copy the rows into it, one batch in memory at a time. The importer drops the table.

    Reading from `rows` and encrypting happen in a thread.
    """
    columns = {**COPIED_COLUMNS, **_COMPARED_COLUMNS}
    declarations = ", ".join(f'"{name}" {sql_type}' for name, sql_type in columns.items())
    await session.execute(text(f"CREATE TEMPORARY TABLE {TABLE} ({declarations}) ON COMMIT DROP"))
    batches = _take_batches(rows)

    def stage_next_batch() -> list[StagedRow]:
        return [stage_row(row, keys) for row in next(batches, [])]

    connection = await driver_connection(session)
    names = sql.SQL(", ").join(map(sql.Identifier, COPIED_COLUMNS))
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(TABLE), names)
    async with connection.cursor() as cursor, cursor.copy(statement) as copy:
        while batch := await asyncio.to_thread(stage_next_batch):
            for staged in batch:
                await copy.write_row(staged.as_tuple())
    await session.execute(text(f"ANALYZE {TABLE}"))
