-- Deletes forgotten counters, devices that were not used for long, and entries of the sign-in log after their
-- retention period. Returns how many entries of the log were deleted.
-- Called by: backend/identity/sign_in/unscoped_queries.py
-- Why it bypasses row-level security: the rows belong to all units; the application has no DELETE on these tables.
CREATE OR REPLACE FUNCTION definer.purge_sign_ins(
  p_counted_before timestamptz, p_used_before timestamptz, p_logged_before timestamptz) RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
  DELETE FROM sign_in_throttle WHERE counted_at < p_counted_before AND (blocked_until IS NULL OR blocked_until < p_counted_before);
  DELETE FROM sign_in_device WHERE used_at < p_used_before;
  WITH deleted AS (DELETE FROM sign_in_event WHERE at < p_logged_before RETURNING 1) SELECT count(*) FROM deleted;
END;
