-- Returns the name of a table's partition for a term: readable, and different for every code.
-- Called by: migrations/definer/missing_term_partitions.sql, migrations/definer/create_missing_term_partitions.sql
-- Runs with the rights of its caller and reads no table.
CREATE OR REPLACE FUNCTION definer.term_partition(p_table text, p_term_code text) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN p_table || '_' || trim(BOTH '_' FROM left(regexp_replace(lower(p_term_code), '[^a-z0-9]+', '_', 'g'), 24))
  || '_' || left(md5(p_term_code), 8);
