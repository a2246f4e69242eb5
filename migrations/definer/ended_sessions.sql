-- Returns which of these sessions are not valid any more.
-- Called by: backend/identity/sign_in/unscoped_queries.py
-- Why it bypasses row-level security: a process asks for all sessions with an open stream at once.
CREATE OR REPLACE FUNCTION definer.ended_sessions(p_ids uuid[], p_at timestamptz) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
  SELECT s.id FROM staff_session s JOIN account a ON a.id = s.account_id
  WHERE s.id = ANY (p_ids) AND (s.revoked_at IS NOT NULL OR s.expires_at <= p_at OR a.status <> 'active');
END;
