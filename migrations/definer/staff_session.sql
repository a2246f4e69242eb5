-- Returns a staff session with the account that it belongs to.
-- Called by: backend/identity/unscoped_queries.py
-- Why it bypasses row-level security: the scope of a staff request is only known from this answer.
CREATE OR REPLACE FUNCTION definer.staff_session(p_id uuid)
RETURNS TABLE (account_id uuid, kind text, org_id uuid, org_path text, school_id uuid, counselor_id uuid,
               status text, refresh_hash bytea, expires_at timestamptz, revoked_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
  SELECT a.id, a.kind, a.org_id, u.path::text, a.school_id, a.counselor_id, a.status,
         s.refresh_hash, s.expires_at, s.revoked_at
  FROM staff_session s JOIN account a ON a.id = s.account_id JOIN org_unit u ON u.id = a.org_id
  WHERE s.id = p_id;
END;
