-- Deletes used proofs that are too old to be accepted again. Returns how many were deleted.
-- Called by: backend/identity/unscoped_queries.py
-- Why it bypasses row-level security: proofs belong to no tenant, and the application may not delete them.
CREATE OR REPLACE FUNCTION definer.purge_proofs(p_before timestamptz) RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
  WITH deleted AS (DELETE FROM dpop_proof WHERE seen_at < p_before RETURNING 1) SELECT count(*) FROM deleted;
END;
