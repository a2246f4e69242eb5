-- Lists the missing partitions: each term with each partitioned table that has no partition for it.
-- Called by: backend/org/partitions.py, migrations/definer/create_missing_term_partitions.sql
-- Why it bypasses row-level security: partitions are shared by all tenants, and the application cannot see the
-- schema they are in.
CREATE OR REPLACE FUNCTION definer.missing_term_partitions() RETURNS TABLE (term_code text, table_name text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
  SELECT t.code, CAST(k AS text) FROM (SELECT DISTINCT code FROM term) t, definer.tables_partitioned_by_term() k
  WHERE to_regclass(format('term_partition.%I', definer.term_partition(CAST(k AS text), t.code))) IS NULL
  ORDER BY t.code, k;
END;
