-- Returns the staff account of a login name, to check a password against. Returns no row for an unknown name.
-- Counts the attempt as failed before the password is checked, so that parallel guesses are limited like
-- sequential ones; a successful sign-in resets the count.
-- Called by: backend/identity/unscoped_queries.py
-- Why it bypasses row-level security: before sign-in the caller has no scope.
CREATE OR REPLACE FUNCTION definer.open_sign_in(p_login text, p_at timestamptz, p_max int, p_delay interval)
RETURNS TABLE (allowed boolean, account_id uuid, kind text, org_id uuid, org_path text, school_id uuid,
               counselor_id uuid, status text, password_hash text, totp_sealed bytea, activation_hash bytea,
               activation_until timestamptz)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  staff account;
BEGIN
  SELECT * INTO staff FROM account a WHERE a.login = p_login FOR UPDATE;
  IF NOT FOUND THEN RETURN; END IF;
  allowed := staff.blocked_until IS NULL OR staff.blocked_until <= p_at;
  IF allowed THEN
    UPDATE account a SET
      failed_attempts = CASE WHEN staff.failed_attempts + 1 >= p_max THEN 0 ELSE staff.failed_attempts + 1 END,
      blocked_until = CASE WHEN staff.failed_attempts + 1 >= p_max THEN p_at + p_delay END
    WHERE a.id = staff.id;
  END IF;
  SELECT staff.id, staff.kind, staff.org_id, u.path::text, staff.school_id, staff.counselor_id, staff.status,
         staff.password_hash, staff.totp_sealed, staff.activation_hash, staff.activation_until
    INTO account_id, kind, org_id, org_path, school_id, counselor_id, status,
         password_hash, totp_sealed, activation_hash, activation_until
    FROM org_unit u WHERE u.id = staff.org_id;
  RETURN NEXT;
END $$;
