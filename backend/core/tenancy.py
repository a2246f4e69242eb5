"""Who asks, as the database sees it: the scope that row-level security compares every row with.

The application's role owns nothing and no policy has a default: a transaction without a scope sees no row
of any tenant. A scope is set for one transaction (`set_config(…, is_local => true)`) and ends with it.
"""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

ScopeKind = Literal["none", "wide", "school", "student"]


@dataclass(frozen=True, slots=True)
class Scope:
    """One tenant view.

    `wide` sees every school below `org_path` (a bureau, the province, or a job working for them); `school`
    sees one school; `student` sees one student's own rows in one school; `none` sees no tenant's row.
    `account_id` is who acts, for the audit; None means the system acts under a named policy.
    """

    kind: ScopeKind
    account_id: UUID | None = None
    org_path: str = ""
    school_id: UUID | None = None
    student_id: UUID | None = None

    @classmethod
    def none(cls) -> "Scope":
        """Before anyone is known: sign-in and registration, through narrow database functions only."""
        return cls("none")

    @classmethod
    def wide(cls, org_path: str, account_id: UUID | None = None) -> "Scope":
        """Every school below a unit of the tree; `org_path` is its ltree path."""
        return cls("wide", account_id=account_id, org_path=org_path)

    @classmethod
    def school(cls, school_id: UUID, org_path: str = "", account_id: UUID | None = None) -> "Scope":
        """One school; `org_path` is the school's own path."""
        return cls("school", account_id=account_id, org_path=org_path, school_id=school_id)

    @classmethod
    def student(cls, school_id: UUID, student_id: UUID, account_id: UUID | None = None) -> "Scope":
        """One student's own records."""
        return cls("student", account_id=account_id, school_id=school_id, student_id=student_id)


_SET_SCOPE = text(
    "SELECT set_config('dianming.kind', :kind, true), set_config('dianming.path', :path, true),"
    " set_config('dianming.school', :school, true), set_config('dianming.student', :student, true),"
    " set_config('dianming.account', :account, true)"
)


async def apply_scope(session: AsyncSession, scope: Scope) -> None:
    """Make `scope` the view of the transaction that `session` is in."""
    await session.execute(
        _SET_SCOPE,
        {
            "kind": scope.kind,
            "path": scope.org_path,
            "school": str(scope.school_id or ""),
            "student": str(scope.student_id or ""),
            "account": str(scope.account_id or ""),
        },
    )
    session.info["scope"] = scope


def scope_of(session: AsyncSession) -> Scope:
    """The scope that was applied to the session's transaction."""
    scope: Scope = session.info["scope"]
    return scope
