-- Returns the passkey with this credential id, and the staff account that it belongs to.
-- Called by: backend/identity/passkeys/sign_in.py
-- Why it bypasses row-level security: before sign-in the caller has no scope.
CREATE OR REPLACE FUNCTION definer.find_passkey(p_credential_id bytea)
RETURNS TABLE (passkey_id uuid, public_key bytea, sign_count bigint, login text, account_id uuid, kind text, org_id uuid,
               org_path text, school_id uuid, counselor_id uuid, status text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
  SELECT p.id, p.public_key, p.sign_count, a.login, a.id, a.kind, a.org_id, u.path::text, a.school_id, a.counselor_id, a.status
  FROM passkey p JOIN account a ON a.id = p.account_id JOIN org_unit u ON u.id = a.org_id
  WHERE p.credential_id = p_credential_id AND p.removed_at IS NULL;
END;
