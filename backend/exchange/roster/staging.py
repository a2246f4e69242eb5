"""Rows on their way into the database: sealed, digested, and copied to a temporary table."""

import asyncio
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from datetime import date
from itertools import islice
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import sql
from psycopg.types.json import Jsonb
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.database import driver_connection
from backend.core.ids import new_id
from backend.core.keys import KeyRing
from backend.exchange.roster.rows import RosterRow
from backend.exchange.roster.template import MEMBERS
from backend.people.identifiers import IdNumber, mask, parse_id_number
from backend.people.queries import id_number_context, student_number_context

TABLE = "roster_staging"
BATCH = 500
"""Rows sealed at a time, in a thread."""

NOT_KEPT = frozenset(f"{member}身份证件号码" for member in MEMBERS)
"""ID numbers of relatives: no rule needs them, and what is not stored cannot leak."""


_EIGHTEEN = re.compile(r"(?<![0-9])[0-9]{17}[0-9Xx](?![0-9])")


def _id_masked(found: re.Match[str]) -> str:
    """Schools put ID numbers into other columns, too: as an examination number, or among remarks."""
    number = found.group()
    return mask(number) if isinstance(parse_id_number(number, today=date.max), IdNumber) else number


class StagedRow(NamedTuple):
    """One row as the temporary table holds it.

    `new_id` is the student's id if the row makes one, and what the sealed numbers are bound to. `digest` is over
    all that a later import may change: neither the study form nor the place in the file; the numbers are in it by
    their blind indexes only, because a plain hash of them could be searched for.
    """

    sheet: str
    row: int
    masked_number: str
    new_id: UUID
    name: str
    sex: str
    birth_date: date
    document_kind: str
    id_number_sealed: bytes
    id_number_index: bytes
    student_number_sealed: bytes | None
    student_number_index: bytes | None
    class_name: str
    grade: int
    programme: str
    study_form: str
    entry_month: str
    major: str
    phone: str | None
    record: Jsonb
    guardians: Jsonb
    digest: bytes


_CREATE = f"""
CREATE TEMPORARY TABLE {TABLE} (
  sheet text, "row" integer, masked_number text, new_id uuid, name text, sex text, birth_date date,
  document_kind text, id_number_sealed bytea, id_number_index bytea, student_number_sealed bytea,
  student_number_index bytea, class_name text, grade integer, programme text, study_form text,
  entry_month text, major text, phone text, record jsonb, guardians jsonb, digest bytea, student_id uuid, fate text, stored_study_form text
) ON COMMIT DROP
"""
"""The last three columns are filled in by comparing with the roll: whose row it is and what becomes of it."""


def stage_row(row: RosterRow, keys: KeyRing) -> StagedRow:
    """Seal and digest one row."""
    new, number = new_id(), row.student_number.encode() if row.student_number else None
    record = {
        header: _EIGHTEEN.sub(_id_masked, text)
        for header, text in row.extras.items()
        if header not in NOT_KEPT
    }
    if row.attendance is not None:
        record["就读方式"] = row.attendance
    if row.length_years is not None:
        record["学制"] = str(row.length_years)
    guardians = [
        {
            "position": member.position,
            "name": member.name,
            "relation": member.relation,
            "is_guardian": member.is_guardian,
            "phone": member.phone,
        }
        for member in row.members
    ]
    staged = StagedRow(
        sheet=row.sheet,
        row=row.row,
        masked_number=mask(row.document_number),
        new_id=new,
        name=row.name,
        sex=row.sex.value,
        birth_date=row.birth_date,
        document_kind=row.document_kind.value,
        id_number_sealed=keys.encrypt("identifier", row.document_number.encode(), id_number_context(new)),
        id_number_index=keys.blind_index(row.document_number),
        student_number_sealed=number and keys.encrypt("identifier", number, student_number_context(new)),
        student_number_index=keys.blind_index(row.student_number) if row.student_number else None,
        class_name=row.class_name,
        grade=int(row.entry_month[:4]),
        programme=row.programme.value,
        study_form=row.study_form.value,
        entry_month=row.entry_month.replace("-", ""),
        major=row.major,
        phone=row.phone,
        record=Jsonb(record),
        guardians=Jsonb([{"id": str(new_id()), **guardian} for guardian in guardians]),
        digest=b"",
    )
    return staged._replace(digest=_digest(staged, record, guardians))


def _digest(staged: StagedRow, record: dict[str, str], guardians: list[dict[str, Any]]) -> bytes:
    number = staged.student_number_index
    facts = [
        *(staged.id_number_index.hex(), number.hex() if number else None),
        *(staged.name, staged.sex, staged.birth_date.isoformat()),
        *(staged.document_kind, staged.class_name, staged.programme),
        *(staged.entry_month, staged.major, staged.phone, record, guardians),
    ]
    canonical = json.dumps(facts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).digest()


def _batches(rows: Iterable[RosterRow]) -> Iterator[list[RosterRow]]:
    remaining = iter(rows)
    while batch := list(islice(remaining, BATCH)):
        yield batch


async def copy_to_staging(session: AsyncSession, rows: Iterable[RosterRow], keys: KeyRing) -> None:
    """Make the temporary table of this transaction and copy the rows into it, a batch in memory at a time.

    Taking a row from `rows` and sealing it happen in a thread, one batch after another.
    """
    await session.execute(text(_CREATE))
    batches = _batches(rows)

    def next_batch() -> list[StagedRow]:
        return [stage_row(row, keys) for row in next(batches, [])]

    connection = await driver_connection(session)
    columns = sql.SQL(", ").join(map(sql.Identifier, StagedRow._fields))
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(TABLE), columns)
    async with connection.cursor() as cursor, cursor.copy(statement) as copy:
        while batch := await asyncio.to_thread(next_batch):
            for staged in batch:
                await copy.write_row(staged)
    await session.execute(text(f"ANALYZE {TABLE}"))
