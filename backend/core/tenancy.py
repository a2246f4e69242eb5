"""Tenant scopes: what row-level security compares every row with.

The application's database role owns no table and no policy has a default, so a transaction without a scope sees no
row of any tenant. A scope is set for one transaction (`set_config(…, is_local => true)`) and ends with it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

ScopeKind = Literal["none", "wide", "school", "student"]


@dataclass(frozen=True, slots=True)
class Scope:
    """What a transaction may see.

    `wide`: every school below `org_path` (a bureau, the province, or a job for them); `school`: one school;
    `student`: one student's own rows in one school; `none`: no row of any tenant.
    `account_id` is the acting account, for the audit log; None means the system itself.
    """

    kind: ScopeKind
    account_id: UUID | None = None
    org_path: str = ""
    school_id: UUID | None = None
    student_id: UUID | None = None

    @classmethod
    def none(cls) -> "Scope":
        """For sign-in and registration, before the caller is known: only `definer` functions return rows."""
        return cls("none")

    @classmethod
    def wide(cls, org_path: str, account_id: UUID | None = None) -> "Scope":
        """Every school below a unit of the tree. `org_path` is its ltree path."""
        return cls("wide", account_id=account_id, org_path=org_path)

    @classmethod
    def school(cls, school_id: UUID, org_path: str = "", account_id: UUID | None = None) -> "Scope":
        """One school. `org_path` is the school's own path."""
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
    """Set the scope of the session's transaction."""
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
    """The scope of the session's transaction."""
    scope: Scope = session.info["scope"]
    return scope


@asynccontextmanager
async def scope_applied(session: AsyncSession, scope: Scope) -> AsyncIterator[None]:
    """Read in another scope within the transaction, on behalf of a rule and never of a caller's request.

    An error inside ends the transaction, so the earlier scope is restored only on success.
    """
    await session.flush()
    earlier = scope_of(session)
    await apply_scope(session, scope)
    yield
    await session.flush()
    await apply_scope(session, earlier)
