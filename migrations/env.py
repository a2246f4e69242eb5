"""Entry point of alembic: runs the migrations as the owner, in one transaction."""

import os

from alembic import context
from sqlalchemy import create_engine, pool

import backend.tables
from migrations.partitioning import is_not_partition_key

config = context.config
url = config.attributes.get("url") or os.environ["DIANMING_OWNER_DATABASE_URL"]


def _is_our_table(name: str | None, kind: str, _: object) -> bool:
    foreign = name is not None and (name.startswith("procrastinate") or name == "spatial_ref_sys")
    return not (kind == "table" and foreign)


def migrate() -> None:
    """Bring the database at `url` to the requested revision."""
    engine = create_engine(url, poolclass=pool.NullPool)
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=backend.tables.METADATA,
            include_name=_is_our_table,
            include_object=is_not_partition_key,
            compare_type=True,
        )
        with context.begin_transaction():
            context.run_migrations()


migrate()
