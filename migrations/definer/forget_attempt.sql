-- Takes back a counted attempt that succeeded: forgets all failures under the key, and one of the address.
-- One success does not clear the address, or a guesser with one account could try all others without delay.
-- Called by: backend/identity/sign_in/unscoped_queries.py
-- Why it bypasses row-level security: the counters belong to no tenant; the application cannot write them otherwise.
CREATE OR REPLACE FUNCTION definer.forget_attempt(p_key bytea, p_address_key bytea) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
  UPDATE sign_in_throttle SET failures = greatest(failures - 1, 0), blocked_until = NULL WHERE key = p_address_key;
  DELETE FROM sign_in_throttle WHERE key = p_key;
END;
