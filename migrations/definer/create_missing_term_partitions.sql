-- Creates the missing partitions and returns them. Raises lock_not_available after two seconds of waiting.
-- Called by: backend/org/partitions.py, migrations/definer/create_partitions_of_new_terms.sql
-- Why it bypasses row-level security: the application may not create tables. It creates only what the rows of
-- `term` require, so a caller can do no harm with it.
CREATE OR REPLACE FUNCTION definer.create_missing_term_partitions() RETURNS TABLE (term_code text, table_name text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '2s'
AS $$
#variable_conflict use_column
DECLARE
  parent text;
  code text;
  partition_name text;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('term_partitions'));
  IF NOT EXISTS (SELECT FROM definer.missing_term_partitions()) THEN RETURN; END IF;
  -- Attaching a partition locks the tables that its foreign keys refer to. Lock them first, in one order and
  -- starting with the table that a launch holds longest, so that a check-in rarely waits behind this transaction.
  FOR parent IN
    SELECT DISTINCT CAST(f.confrelid AS regclass) AS referenced FROM pg_constraint f
    WHERE f.contype = 'f' AND f.conrelid IN (SELECT k FROM definer.tables_partitioned_by_term() k) ORDER BY referenced
  LOOP
    EXECUTE format('LOCK TABLE ONLY %s IN SHARE ROW EXCLUSIVE MODE', parent);
  END LOOP;
  FOR code, parent IN SELECT m.term_code, m.table_name FROM definer.missing_term_partitions() m
  LOOP
    partition_name := definer.term_partition(parent, code);
    EXECUTE format('CREATE TABLE term_partition.%I (LIKE public.%I INCLUDING ALL)', partition_name, parent);
    EXECUTE format('ALTER TABLE term_partition.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', partition_name);
    -- ATTACH instead of CREATE TABLE ... PARTITION OF, which would take an ACCESS EXCLUSIVE lock on the parent.
    EXECUTE format('ALTER TABLE public.%I ATTACH PARTITION term_partition.%I FOR VALUES IN (%L)',
                   parent, partition_name, code);
    term_code := code;
    table_name := parent;
    RETURN NEXT;
  END LOOP;
END
$$;
