"""Tables that are kept by term: each term's rows in a partition of its own, made when the term is opened.

A partition lies in a schema that the application may not even look into, so that its rows are reached through the
parent and its policies alone. There is no default partition: a row of a term that nobody opened is refused.
"""

from typing import Any

from alembic import op
from sqlalchemy import ForeignKeyConstraint

KEY = "LIST (term_code)"
SCHEMA = "term_partition"


def is_ours(item: Any, _name: str | None, _kind: str, _reflected: bool, _other: Any) -> bool:  # noqa: FBT001 - alembic's
    """For alembic's `include_object`: PostgreSQL repeats a foreign key to a parted table for each of its partitions."""
    return not isinstance(item, ForeignKeyConstraint) or item.referred_table.schema != SCHEMA


_TABLES = """
CREATE FUNCTION definer.tables_kept_by_term() RETURNS SETOF regclass
LANGUAGE sql STABLE SET search_path = public, pg_temp
BEGIN ATOMIC
  SELECT CAST(c.oid AS regclass) FROM pg_partitioned_table p JOIN pg_class c ON c.oid = p.partrelid
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.partattrs[0]
  WHERE c.relnamespace = CAST('public' AS regnamespace) AND p.partstrat = 'l' AND a.attname = 'term_code'
  ORDER BY c.oid;
END
"""

_NAME = """
CREATE FUNCTION definer.term_partition(of_table text, code text) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN of_table || '_' || trim(BOTH '_' FROM left(regexp_replace(lower(code), '[^a-z0-9]+', '_', 'g'), 24))
  || '_' || left(md5(code), 8)
"""
"""Readable, and another one for every code."""

_MISSING = """
CREATE FUNCTION definer.terms_without_partitions() RETURNS TABLE (term_code text, table_name text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
  SELECT t.code, CAST(k AS text) FROM (SELECT DISTINCT code FROM term) t, definer.tables_kept_by_term() k
  WHERE to_regclass(format('term_partition.%I', definer.term_partition(CAST(k AS text), t.code))) IS NULL
  ORDER BY t.code, k;
END
"""

_MAKE = """
CREATE FUNCTION definer.make_term_partitions() RETURNS TABLE (term_code text, table_name text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '2s'
AS $$
#variable_conflict use_column
DECLARE
  parent text;
  code text;
  part text;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('term_partitions'));
  IF NOT EXISTS (SELECT FROM definer.terms_without_partitions()) THEN RETURN; END IF;
  -- What the foreign keys of an attached partition will ask for, and first of what a launch writes the longest: so a
  -- check-in hardly ever waits for somebody who waits here himself.
  FOR parent IN
    SELECT DISTINCT CAST(f.confrelid AS regclass) AS referenced FROM pg_constraint f
    WHERE f.contype = 'f' AND f.conrelid IN (SELECT k FROM definer.tables_kept_by_term() k) ORDER BY referenced
  LOOP
    EXECUTE format('LOCK TABLE ONLY %s IN SHARE ROW EXCLUSIVE MODE', parent);
  END LOOP;
  FOR code, parent IN SELECT m.term_code, m.table_name FROM definer.terms_without_partitions() m
  LOOP
    part := definer.term_partition(parent, code);
    EXECUTE format('CREATE TABLE term_partition.%I (LIKE public.%I INCLUDING ALL)', part, parent);
    EXECUTE format('ALTER TABLE term_partition.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', part);
    -- Attached and not made as a partition: that would keep everybody out of the parent.
    EXECUTE format('ALTER TABLE public.%I ATTACH PARTITION term_partition.%I FOR VALUES IN (%L)', parent, part, code);
    term_code := code;
    table_name := parent;
    RETURN NEXT;
  END LOOP;
END
$$
"""

_OPENED = """
CREATE FUNCTION definer.term_opened() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
BEGIN
  PERFORM definer.make_term_partitions();
  RETURN NULL;
END
$$
"""


def prepare() -> None:
    """From now on a term that is opened gets its partitions in every table that is kept by term, whoever writes it."""
    op.execute("CREATE SCHEMA term_partition")
    for function in (_TABLES, _NAME, _MISSING, _MAKE, _OPENED):
        op.execute(function)
    for signature in (
        "definer.tables_kept_by_term()",
        "definer.term_partition(text, text)",
        "definer.terms_without_partitions()",
        "definer.make_term_partitions()",
        "definer.term_opened()",
    ):
        op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
    # It makes only what the terms on file lack, so whoever may call it can do no harm by it.
    for signature in ("definer.terms_without_partitions()", "definer.make_term_partitions()"):
        op.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO dianming_app")
    op.execute(
        "CREATE TRIGGER term_opened AFTER INSERT OR UPDATE OF code ON term"
        " FOR EACH STATEMENT EXECUTE FUNCTION definer.term_opened()"
    )
    op.execute("ALTER TABLE term ENABLE ALWAYS TRIGGER term_opened")
