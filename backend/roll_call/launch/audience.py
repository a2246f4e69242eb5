"""The audience of a launch as one set-based SELECT, never a list in memory."""

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
    """A random sample of the students who owe presence: a number or a share, drawn with a recorded seed."""

    size: int | None = None
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Audience:
    """Units with everything below them, narrowed by filters. An empty filter does not narrow."""

    unit_ids: tuple[UUID, ...] = ()
    class_ids: tuple[UUID, ...] = ()
    grades: tuple[int, ...] = ()
    majors: tuple[str, ...] = ()
    programmes: tuple[str, ...] = ()
    sample: Sample | None = None

    def as_json(self) -> dict[str, Any]:
        """The audience as it is stored with the roll call."""
        fields = asdict(self)
        fields["unit_ids"] = [str(each) for each in self.unit_ids]
        fields["class_ids"] = [str(each) for each in self.class_ids]
        return fields


@dataclass(frozen=True, slots=True)
class AudienceContext:
    """Further input of the selection: roll call, term, unit paths, the study forms that are verified by law, the seed.

    `on_leave` selects the students who are excused by approved leave (HN334-3.5a).
    """

    roll_call_id: UUID
    term_code: str
    paths: tuple[str, ...]
    verified_forms: tuple[str, ...]
    seed: str
    on_leave: Select[UUID]


ON_LEAVE = "on_leave"
"""Reason of an obligation or outcome that is excused by approved leave."""

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


def is_within(paths: tuple[str, ...]) -> ColumnElement[bool]:
    """Condition for `org_unit` rows at or below any of the paths."""
    return or_(*(OrgUnit.path.op("<@")(cast(literal(path, String), Ltree())) for path in paths))


def _select_students(audience: Audience, context: AudienceContext) -> Select[Any]:
    """The students of the audience, with the reason why they are exempt, if any."""
    reason = case(
        (Student.study_form.not_in(context.verified_forms), literal("part_time")),
        (Student.standing.not_in(ACTIVE_STANDINGS), literal("standing_") + Student.standing),
        else_=null(),
    )
    students = (
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
        .where(OrgUnit.kind == "school", is_within(context.paths))
    )
    if audience.class_ids:
        students = students.where(Student.class_id.in_(audience.class_ids))
    if audience.grades:
        students = students.where(SchoolClass.grade.in_(audience.grades))
    if audience.majors:
        students = students.where(Student.major.in_(audience.majors))
    if audience.programmes:
        students = students.where(Student.programme.in_(audience.programmes))
    return students


def select_full_time_students(context: AudienceContext) -> Select[Any]:
    """The students who would owe presence if no filter and no sample narrowed the audience."""
    students = _select_students(Audience(), context).subquery()
    return select(students.c.student_id, students.c.school_id).where(students.c.reason.is_(None))


def _sample_key(seed: str, student_id: ColumnElement[UUID]) -> ColumnElement[bytes]:
    """Sort key of the sample: SHA-256 of seed and student id, so that anyone can reproduce the sample."""
    return func.sha256(func.convert_to(literal(seed) + cast(student_id, String), text("'UTF8'")), type_=BYTEA)


def select_obligations(audience: Audience, context: AudienceContext) -> Select[Any]:
    """Rows to insert into `obligation`, in the order of OBLIGATION_COLUMNS.

    A sample is drawn among the students who owe presence, on leave or not, so that leave does not change the chances
    of others. Exempt students are included only without a sample, where they explain the difference to the roll.
    """
    students = _select_students(audience, context).subquery()
    is_on_leave = students.c.student_id.in_(context.on_leave)
    duty = case(
        (students.c.reason.is_not(None), literal("exempt")),
        (is_on_leave, literal("excused")),
        else_=literal("owed"),
    )
    reason = case(
        (students.c.reason.is_not(None), students.c.reason), (is_on_leave, literal(ON_LEAVE)), else_=null()
    )
    columns: list[ColumnElement[Any]] = [
        literal(context.roll_call_id).label("roll_call_id"),
        literal(context.term_code).label("term_code"),
        students.c.student_id,
        students.c.school_id,
        students.c.class_id,
        duty.label("duty"),
        reason.label("reason"),
        students.c.standing,
        students.c.study_form,
        students.c.programme,
    ]
    sample = audience.sample
    if sample is None:
        return select(*columns)
    rank = func.row_number().over(order_by=_sample_key(context.seed, students.c.student_id)).label("rank")
    ranked = (
        select(*columns, rank, func.count().over().label("total"))
        .where(students.c.reason.is_(None))
        .subquery()
    )
    limit: ColumnElement[Any] = (
        literal(sample.size) if sample.size is not None else func.ceil(ranked.c.total * literal(sample.share))
    )
    return select(*(ranked.c[name] for name in OBLIGATION_COLUMNS)).where(ranked.c.rank <= limit)
