-- Deletes answered challenges of passkeys that have ended since, so that they are refused anyway. Returns how many.
-- Called by: backend/identity/passkeys/challenges.py
-- Why it bypasses row-level security: challenges belong to no tenant, and the application may not delete them.
CREATE OR REPLACE FUNCTION definer.purge_answered_challenges(p_before timestamptz) RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
  WITH deleted AS (DELETE FROM answered_challenge WHERE at < p_before RETURNING 1) SELECT count(*) FROM deleted;
END;
