"""Recipients of notices, as queries for `notice.service.post_notices`. Only active staff accounts are selected."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, null, or_, select

from backend.identity.tables import Account
from backend.people.tables import ClassCounselor, Student

AUTHORITY_ROLES = ("province", "bureau")

Recipients = Select[*tuple[Any, ...]]
"""Rows of account_id, org_path, school_id and phone."""


def select_staff(*conditions: ColumnElement[bool]) -> Recipients:
    """Active staff accounts that meet the conditions on `Account`."""
    return select(
        Account.id.label("account_id"), Account.org_path, Account.school_id, null().label("phone")
    ).where(Account.status == "active", *conditions)


def registrars(schools: UUID | Select[UUID]) -> Recipients:
    """The registrars of a school, or of all schools of a query."""
    in_schools = Account.school_id == schools if isinstance(schools, UUID) else Account.school_id.in_(schools)
    return select_staff(Account.kind == "registrar", in_schools)


def counselors(*conditions: ColumnElement[bool]) -> Recipients:
    """The counselors that meet the conditions on `Account`."""
    return select_staff(Account.kind == "counselor", *conditions)


def responsible_counselor_ids(student_id: UUID) -> Select[UUID]:
    """The counselor of the student's class, as a query of counselor ids."""
    return (
        select(ClassCounselor.counselor_id)
        .join(Student, Student.class_id == ClassCounselor.class_id)
        .where(Student.id == student_id, ClassCounselor.until.is_(None))
    )


def counselors_of_student(student_id: UUID, *substitutes: Select[UUID]) -> Recipients:
    """The counselor of the student's class, and counselors from queries of substitutes."""
    queries = (responsible_counselor_ids(student_id), *substitutes)
    return counselors(or_(*(Account.counselor_id.in_(query) for query in queries)))


def unit_staff(org_id: UUID, roles: Collection[str]) -> Recipients:
    """The staff of one unit who have one of the roles."""
    return select_staff(Account.org_id == org_id, Account.kind.in_(roles))
