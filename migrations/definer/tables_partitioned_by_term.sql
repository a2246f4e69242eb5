-- Lists the tables of the schema `public` that are partitioned by LIST (term_code).
-- Called by: migrations/definer/missing_term_partitions.sql, migrations/definer/create_missing_term_partitions.sql
-- Runs with the rights of its caller and reads only the system catalogs.
CREATE OR REPLACE FUNCTION definer.tables_partitioned_by_term() RETURNS SETOF regclass
LANGUAGE sql STABLE SET search_path = public, pg_temp
BEGIN ATOMIC
  SELECT CAST(c.oid AS regclass) FROM pg_partitioned_table p JOIN pg_class c ON c.oid = p.partrelid
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.partattrs[0]
  WHERE c.relnamespace = CAST('public' AS regnamespace) AND p.partstrat = 'l' AND a.attname = 'term_code'
  ORDER BY c.oid;
END;
