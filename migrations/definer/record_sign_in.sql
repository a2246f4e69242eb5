-- Adds an entry to the sign-in log, for a known account or for a login name that does not exist. Of the latter it keeps at
-- most p_unknown_limit a minute, so that made-up login names do not fill the disk.
-- Called by: backend/identity/sign_in/unscoped_queries.py
-- Why it bypasses row-level security: a failed sign-in has no scope; the application cannot write the log otherwise.
CREATE OR REPLACE FUNCTION definer.record_sign_in(
  p_id uuid, p_at timestamptz, p_account uuid, p_org_path text, p_outcome text, p_reason text, p_address text,
  p_user_agent text, p_known_device boolean, p_delayed_until timestamptz, p_unknown_limit int) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
  INSERT INTO sign_in_event
    (id, at, account_id, org_path, outcome, reason, address, user_agent, known_device, delayed_until)
  SELECT p_id, p_at, p_account, p_org_path, p_outcome, p_reason, p_address, p_user_agent, p_known_device, p_delayed_until
  WHERE p_account IS NOT NULL OR p_unknown_limit > (
    SELECT count(*) FROM sign_in_event e
    WHERE e.account_id IS NULL AND e.at > p_at - interval '1 minute' AND e.at <= p_at);
END;
