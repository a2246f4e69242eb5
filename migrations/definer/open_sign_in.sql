-- Counts an attempt to sign in and returns the staff account of the login name, to check a password against.
-- An unknown name is counted like a known one and returns a row without an account, so the answers do not differ.
-- A device that signed in to this account before is counted by itself: failures elsewhere do not delay it.
-- Without a key nothing is counted.
-- Called by: backend/identity/sign_in/unscoped_queries.py
-- Why it bypasses row-level security: before sign-in the caller has no scope.
CREATE OR REPLACE FUNCTION definer.open_sign_in(
  p_login text, p_device_hash bytea, p_login_key bytea, p_device_key bytea, p_address_key bytea, p_at timestamptz,
  p_delays interval[], p_device_delays interval[], p_address_delays interval[], p_memory interval,
  p_address_memory interval, p_known_since timestamptz)
RETURNS TABLE (allowed boolean, waits_until timestamptz, first_refusal boolean, counted_key bytea, counted_address bytea,
               device_id uuid, account_id uuid, kind text, org_id uuid, org_path text, school_id uuid,
               counselor_id uuid, status text, password_hash text, totp_sealed bytea, activation_hash bytea,
               activation_until timestamptz)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  staff account;
BEGIN
  SELECT * INTO staff FROM account a WHERE a.login = p_login;
  SELECT d.id INTO device_id FROM sign_in_device d
    WHERE d.account_id = staff.id AND d.token_hash = p_device_hash AND d.revoked_at IS NULL AND d.used_at >= p_known_since;
  counted_key := CASE WHEN device_id IS NULL THEN p_login_key ELSE p_device_key END;
  counted_address := CASE WHEN device_id IS NULL THEN p_address_key END;
  allowed := true;
  IF counted_address IS NOT NULL THEN
    SELECT c.allowed, c.waits_until, c.first_refusal INTO allowed, waits_until, first_refusal
      FROM definer.count_attempt(counted_address, p_at, p_address_delays, p_address_memory) c;
  END IF;
  IF allowed AND counted_key IS NOT NULL THEN
    SELECT c.allowed, greatest(c.waits_until, open_sign_in.waits_until), c.first_refusal
      INTO allowed, waits_until, first_refusal
      FROM definer.count_attempt(counted_key, p_at,
        CASE WHEN device_id IS NULL THEN p_delays ELSE p_device_delays END, p_memory) c;
  END IF;
  SELECT staff.id, staff.kind, staff.org_id, u.path::text, staff.school_id, staff.counselor_id, staff.status,
         staff.password_hash, staff.totp_sealed, staff.activation_hash, staff.activation_until
    INTO account_id, kind, org_id, org_path, school_id, counselor_id, status,
         password_hash, totp_sealed, activation_hash, activation_until
    FROM (SELECT 1) one LEFT JOIN org_unit u ON u.id = staff.org_id;
  RETURN NEXT;
END $$;
