"""Alembic migrations: the schema, its roles and its row-level security."""
