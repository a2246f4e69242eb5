"""Who is asked: the audience of a launch as one set-based selection, never a list in memory."""

from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, String, case, cast, func, literal, null, or_, select, text
from sqlalchemy.dialects.postgresql import BYTEA

from backend.core.ltree import Ltree
from backend.org.tables import OrgUnit
from backend.people.tables import SchoolClass, Student
from backend.roll_call.rules import ACTIVE_STANDINGS


@dataclass(frozen=True, slots=True)
class Sample:
    """A random sample of those who owe presence: a fixed number or a share, drawn by a recorded seed."""

    size: int | None = None
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Audience:
    """Units (with all below them), narrowed by what is given; an empty filter narrows nothing."""

    unit_ids: tuple[UUID, ...] = ()
    class_ids: tuple[UUID, ...] = ()
    grades: tuple[int, ...] = ()
    majors: tuple[str, ...] = ()
    programmes: tuple[str, ...] = ()
    sample: Sample | None = None

    def recorded(self) -> dict[str, Any]:
        """The audience as it is kept with the roll call."""
        plain = asdict(self)
        plain["unit_ids"] = [str(each) for each in self.unit_ids]
        plain["class_ids"] = [str(each) for each in self.class_ids]
        return plain


@dataclass(frozen=True, slots=True)
class Roll:
    """What the selection needs beside the audience: the term, paths of its units, the law's study forms, the seed.

    `on_leave` selects the students whose approved leave excuses them (HN334-3.5a).
    """

    roll_call_id: UUID
    term_code: str
    paths: tuple[str, ...]
    verified_forms: tuple[str, ...]
    seed: str
    on_leave: Select[UUID]


ON_LEAVE = "on_leave"
"""The reason of those whom approved leave excuses."""

OBLIGATION_COLUMNS = (
    "roll_call_id",
    "term_code",
    "student_id",
    "school_id",
    "class_id",
    "duty",
    "reason",
    "standing",
    "study_form",
    "programme",
)


def within(paths: tuple[str, ...]) -> ColumnElement[bool]:
    """Units at or below any of the paths."""
    return or_(*(OrgUnit.path.op("<@")(cast(literal(path, String), Ltree())) for path in paths))


def _chosen(audience: Audience, roll: Roll) -> Select[Any]:
    """Every student of the audience with the reason, if any, for which presence is not asked."""
    reason = case(
        (Student.study_form.not_in(roll.verified_forms), literal("part_time")),
        (Student.standing.not_in(ACTIVE_STANDINGS), literal("standing_") + Student.standing),
        else_=null(),
    )
    chosen = (
        select(
            Student.id.label("student_id"),
            Student.school_id,
            Student.class_id,
            reason.label("reason"),
            Student.standing,
            Student.study_form,
            Student.programme,
        )
        .join(OrgUnit, OrgUnit.id == Student.school_id)
        .join(SchoolClass, SchoolClass.id == Student.class_id)
        .where(OrgUnit.kind == "school", within(roll.paths))
    )
    if audience.class_ids:
        chosen = chosen.where(Student.class_id.in_(audience.class_ids))
    if audience.grades:
        chosen = chosen.where(SchoolClass.grade.in_(audience.grades))
    if audience.majors:
        chosen = chosen.where(Student.major.in_(audience.majors))
    if audience.programmes:
        chosen = chosen.where(Student.programme.in_(audience.programmes))
    return chosen


def _draw(seed: str, student_id: ColumnElement[UUID]) -> ColumnElement[bytes]:
    """Each student's lot: SHA-256 of seed and identifier, so that anyone can draw the same sample again."""
    return func.sha256(func.convert_to(literal(seed) + cast(student_id, String), text("'UTF8'")), type_=BYTEA)


def obligations(audience: Audience, roll: Roll) -> Select[Any]:
    """Rows for `obligation`, in the order of OBLIGATION_COLUMNS.

    A sample is drawn among those who owe presence, on leave or not, so that leave alters nobody else's lot; those
    who would be exempt are listed only when everyone is asked, where their exemption explains an absence from the
    figures.
    """
    chosen = _chosen(audience, roll).subquery()
    away = chosen.c.student_id.in_(roll.on_leave)
    duty = case(
        (chosen.c.reason.is_not(None), literal("exempt")),
        (away, literal("excused")),
        else_=literal("owed"),
    )
    reason = case((chosen.c.reason.is_not(None), chosen.c.reason), (away, literal(ON_LEAVE)), else_=null())
    columns: list[ColumnElement[Any]] = [
        literal(roll.roll_call_id).label("roll_call_id"),
        literal(roll.term_code).label("term_code"),
        chosen.c.student_id,
        chosen.c.school_id,
        chosen.c.class_id,
        duty.label("duty"),
        reason.label("reason"),
        chosen.c.standing,
        chosen.c.study_form,
        chosen.c.programme,
    ]
    sample = audience.sample
    if sample is None:
        return select(*columns)
    lot = func.row_number().over(order_by=_draw(roll.seed, chosen.c.student_id)).label("lot")
    drawn = (
        select(*columns, lot, func.count().over().label("everyone"))
        .where(chosen.c.reason.is_(None))
        .subquery()
    )
    limit: ColumnElement[Any] = (
        literal(sample.size)
        if sample.size is not None
        else func.ceil(drawn.c.everyone * literal(sample.share))
    )
    return select(*(drawn.c[name] for name in OBLIGATION_COLUMNS)).where(drawn.c.lot <= limit)
