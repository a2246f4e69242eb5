"""The authenticated account on whose authority a service acts (the five roles of HN334-2.3)."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from backend.core.tenancy import Scope

Role = Literal["province", "bureau", "registrar", "counselor", "student"]


@dataclass(frozen=True, slots=True)
class ActingGuardian:
    """A guardian who acts with a link in place of the student: the row on the roster, and the link."""

    guardian_id: UUID
    link_id: UUID


@dataclass(frozen=True, slots=True)
class Actor:
    """An authenticated account, as of this request.

    `org_id` and `org_path` identify its unit; for students and counselors that is the school. With `guardian`, the role is
    that of the student, and `account_id` is the guardian's id on the roster, because guardians have no account.
    """

    account_id: UUID
    role: Role
    org_id: UUID
    org_path: str
    school_id: UUID | None = None
    student_id: UUID | None = None
    counselor_id: UUID | None = None
    guardian: ActingGuardian | None = None

    @property
    def guardian_link_id(self) -> UUID | None:
        """The link of an acting guardian, for the column of a legal record; None for everyone else."""
        return self.guardian.link_id if self.guardian else None

    @property
    def guardian_fields(self) -> dict[str, str]:
        """What an audit entry says of an acting guardian; empty for everyone else."""
        if self.guardian is None:
            return {}
        return {"guardian": str(self.guardian.guardian_id), "guardian_link": str(self.guardian.link_id)}

    @property
    def scope(self) -> Scope:
        """The tenant view that the database grants this account."""
        if self.role in {"province", "bureau"}:
            return Scope.wide(self.org_path, self.account_id)
        assert self.school_id is not None
        if self.role == "student":
            assert self.student_id is not None
            return Scope.student(self.school_id, self.student_id, self.account_id)
        return Scope.school(self.school_id, self.org_path, self.account_id)
