"""Alembic migrations: the tables, their row-level security, and the functions of the database."""
