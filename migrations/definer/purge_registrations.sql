-- Deletes old registrations that were never confirmed. Returns how many were deleted.
-- Called by: backend/identity/unscoped_queries.py
-- Why it bypasses row-level security: such a registration may belong to no school.
CREATE OR REPLACE FUNCTION definer.purge_registrations(p_before timestamptz) RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
  WITH deleted AS (DELETE FROM registration WHERE confirmed_at IS NULL AND created_at < p_before RETURNING 1)
  SELECT count(*) FROM deleted;
END;
