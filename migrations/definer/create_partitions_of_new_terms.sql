-- Trigger on `term`: creates the partitions of a term in the transaction that opens it.
-- Called by: migrations/versions/0002_org.py (trigger create_partitions)
-- Why it bypasses row-level security: the application may not create tables.
CREATE OR REPLACE FUNCTION definer.create_partitions_of_new_terms() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
BEGIN
  PERFORM definer.create_missing_term_partitions();
  RETURN NULL;
END
$$;
