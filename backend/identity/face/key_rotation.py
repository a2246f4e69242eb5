"""Rotating the root key of the templates: every school's key is wrapped again, and nothing below it is touched.

Both versions of the root open until the last school's key is under the new one. A run that is cut off is taken up by
the next, for each row names its version.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog

from backend.core import audit
from backend.core.app_context import AppContext
from backend.core.errors import Conflict
from backend.core.keys import KeyRing, VersionInUse, remove_version
from backend.core.tenancy import Scope
from backend.identity.face.template_keys import (
    ROOT,
    hold_root_alone,
    root_key,
    schools_by_version,
    wrapped_by_others,
)
from backend.identity.tables import SchoolTemplateKey
from backend.org.paths import path_of
from biometrics.templates.sealing import Cipher, TemplateUnreadable, WrappedKey, rewrap_school_key

AT_ONCE = 200

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """What a run did: keys under the current version now, and those that no version opens."""

    version: str
    done: int
    unreadable: int


async def rewrap(app_context: AppContext, progress: Callable[[int], None]) -> Rewrapped:
    """Wrap under the current version what another one wraps, a batch a transaction; `progress` is told the sum.

    A key that does not open is left as it is and counted: it was damaged before, and the others must not wait for it.
    """
    keys, province = app_context.keys, _province(app_context)
    keys.refresh()
    version = keys.current[ROOT]
    after: UUID | None = None
    done = unreadable = 0
    while True:
        async with app_context.database.transaction(province) as session:
            rows = await wrapped_by_others(session, version, after, AT_ONCE)
            failed = sum(not _rewrap(row, keys, version, app_context.clock()) for row in rows)
            if len(rows) > failed:
                made = {"version": version, "schools": len(rows) - failed}
                act = audit.Act("template_root.rewrap", "key", ROOT, province.org_path, after=made)
                audit.record(session, act, app_context.clock())
        done, unreadable = done + len(rows) - failed, unreadable + failed
        progress(done)
        if len(rows) < AT_ONCE:
            return Rewrapped(version, done, unreadable)
        after = rows[-1].school_id


def _province(app_context: AppContext) -> Scope:
    return Scope.wide(path_of("province", app_context.settings.province_code, None))


def _rewrap(row: SchoolTemplateKey, keys: KeyRing, version: str, at: datetime) -> bool:
    """False for a key that does not open."""
    school, wrapped = str(row.school_id), WrappedKey(row.root_version, row.sealed)
    try:
        newer = rewrap_school_key(
            wrapped,
            school,
            root_key(keys, row.root_version),
            root_key(keys, version),
            Cipher(keys.template_cipher),
        )
    except TemplateUnreadable:
        log.warning("key of a school does not open", school=school, version=row.root_version)
        return False
    row.root_version, row.sealed, row.wrapped_at = newer.kek_id, newer.sealed, at
    return True


async def retire(app_context: AppContext, version: str) -> None:
    """Remove an older version of the root from the key file, once nothing is wrapped under it.

    Raises Conflict for the current version and for one that is still in use, KeyError for an unknown one.
    """
    path, province = app_context.keys.path, _province(app_context)
    assert path is not None
    async with app_context.database.transaction(province) as session:
        await hold_root_alone(session)
        users = (await schools_by_version(session)).get(version, 0)
        if users:
            raise Conflict(
                reason_zh=f"仍有 {users} 所学校的密钥由版本 {version} 保护，请先运行 dianming keys rewrap",
                reason_en=f"version {version} still wraps the keys of {users} schools: run `dianming keys rewrap`",
            )
        try:
            remove_version(path, ROOT, version)
        except VersionInUse as error:
            raise Conflict(
                reason_zh=f"版本 {version} 是当前版本", reason_en=f"version {version} is the current one"
            ) from error
        act = audit.Act("template_root.retire", "key", ROOT, province.org_path, before={"version": version})
        audit.record(session, act, app_context.clock())
