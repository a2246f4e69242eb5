"""Rotation of the root key of the templates: each school's key is wrapped again, nothing below it changes.

Both versions of the root key work until the last school's key is wrapped under the new one. Each row names its version,
so that an interrupted run is continued by the next.
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
    ROOT_KEY_PURPOSE,
    count_schools_by_root_version,
    get_root_key,
    lock_keys_to_rewrap,
    lock_root_key_exclusive,
)
from backend.identity.tables import SchoolTemplateKey
from backend.org.paths import build_unit_path
from biometrics.templates.sealing import Cipher, TemplateUnreadable, WrappedKey, rewrap_school_key

BATCH_SIZE = 200

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RewrapResult:
    """How many keys a run wrapped under the current version, and how many could not be unwrapped."""

    version: str
    done: int
    unreadable: int


async def rewrap(app_context: AppContext, progress: Callable[[int], None]) -> RewrapResult:
    """Wrap all schools' keys under the current version of the root key, one batch per transaction.

    `progress` receives the running total. A damaged key is left as it is and counted, so that it does not block the
    others.
    """
    keys, province = app_context.keys, _province_scope(app_context)
    keys.refresh()
    version = keys.current[ROOT_KEY_PURPOSE]
    after: UUID | None = None
    done = unreadable = 0
    while True:
        async with app_context.database.transaction(province) as session:
            rows = await lock_keys_to_rewrap(session, version, after, BATCH_SIZE)
            failed = sum(not _rewrap_row(row, keys, version, app_context.clock()) for row in rows)
            if len(rows) > failed:
                after_json = {"version": version, "schools": len(rows) - failed}
                act = audit.Act(
                    "template_root.rewrap", "key", ROOT_KEY_PURPOSE, province.org_path, after=after_json
                )
                audit.record(session, act, app_context.clock())
        done, unreadable = done + len(rows) - failed, unreadable + failed
        progress(done)
        if len(rows) < BATCH_SIZE:
            return RewrapResult(version, done, unreadable)
        after = rows[-1].school_id


def _province_scope(app_context: AppContext) -> Scope:
    return Scope.wide(build_unit_path("province", app_context.settings.province_code, None))


def _rewrap_row(row: SchoolTemplateKey, keys: KeyRing, version: str, at: datetime) -> bool:
    """Wrap one key again; False for a key that cannot be unwrapped."""
    school, wrapped = str(row.school_id), WrappedKey(row.root_version, row.sealed)
    try:
        rewrapped = rewrap_school_key(
            wrapped,
            school,
            get_root_key(keys, row.root_version),
            get_root_key(keys, version),
            Cipher(keys.template_cipher),
        )
    except TemplateUnreadable:
        log.warning("school key cannot be unwrapped", school=school, version=row.root_version)
        return False
    row.root_version, row.sealed, row.wrapped_at = rewrapped.kek_id, rewrapped.sealed, at
    return True


async def retire(app_context: AppContext, version: str) -> None:
    """Remove an older version of the root key from the key file, once it wraps no school's key.

    Raises `Conflict` for the current version or one still in use, KeyError for an unknown one.
    """
    path, province = app_context.keys.path, _province_scope(app_context)
    assert path is not None
    async with app_context.database.transaction(province) as session:
        await lock_root_key_exclusive(session)
        users = (await count_schools_by_root_version(session)).get(version, 0)
        if users:
            raise Conflict(
                reason_zh=f"仍有 {users} 所学校的密钥由版本 {version} 保护，请先运行 dianming keys rewrap",
                reason_en=f"version {version} still wraps the keys of {users} schools: run `dianming keys rewrap`",
            )
        try:
            remove_version(path, ROOT_KEY_PURPOSE, version)
        except VersionInUse as error:
            raise Conflict(
                reason_zh=f"版本 {version} 是当前版本", reason_en=f"version {version} is the current version"
            ) from error
        act = audit.Act(
            "template_root.retire", "key", ROOT_KEY_PURPOSE, province.org_path, before={"version": version}
        )
        audit.record(session, act, app_context.clock())
