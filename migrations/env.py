"""Alembic's entry: runs as the owner, in one transaction."""

import os

from alembic import context
from sqlalchemy import create_engine, pool

import backend.tables
from migrations.by_term import is_ours

config = context.config
url = config.attributes.get("url") or os.environ["DIANMING_OWNER_DATABASE_URL"]


def _ours(name: str | None, kind: str, _: object) -> bool:
    return not (
        kind == "table"
        and name is not None
        and (name.startswith("procrastinate") or name == "spatial_ref_sys")
    )


def run() -> None:
    """Bring the database at `url` to the asked revision."""
    engine = create_engine(url, poolclass=pool.NullPool)
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=backend.tables.METADATA,
            include_name=_ours,
            include_object=is_ours,
            compare_type=True,
        )
        with context.begin_transaction():
            context.run_migrations()


run()
