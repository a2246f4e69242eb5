-- Revokes all sessions of a staff account, forgets its known devices and removes its passkeys.
-- Called by: backend/identity/sign_in/unscoped_queries.py
-- Why it bypasses row-level security: sessions are visible to their own account only; a superior who disables or resets an
-- account must end them.
CREATE OR REPLACE FUNCTION definer.end_staff_sessions(p_account uuid, p_at timestamptz) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
  UPDATE staff_session SET revoked_at = p_at WHERE account_id = p_account AND revoked_at IS NULL;
  UPDATE sign_in_device SET revoked_at = p_at WHERE account_id = p_account AND revoked_at IS NULL;
  UPDATE passkey SET removed_at = p_at WHERE account_id = p_account AND removed_at IS NULL;
END;
