-- Records a DPoP proof (RFC 9449) as used and returns the account and the school of the device key that signed it.
-- `fresh` is false if the proof was used before.
-- Called by: backend/identity/unscoped_queries.py
-- Why it bypasses row-level security: the scope of a phone's request is only known from this answer.
CREATE OR REPLACE FUNCTION definer.use_proof(p_jkt text, p_jti text, p_at timestamptz)
RETURNS TABLE (fresh boolean, account_id uuid, account_status text, school_id uuid, school_path text,
               student_id uuid, key_status text, revoked_reason text)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
  WITH used AS (
    INSERT INTO dpop_proof (jkt, jti, seen_at) VALUES (p_jkt, p_jti, p_at) ON CONFLICT DO NOTHING RETURNING 1
  )
  SELECT EXISTS (SELECT 1 FROM used), a.id, a.status, d.school_id, u.path::text, d.student_id, d.status, d.revoked_reason
  FROM (SELECT p_jkt AS jkt) AS request
  LEFT JOIN device_key d ON d.jkt = request.jkt
  LEFT JOIN account a ON a.student_id = d.student_id
  LEFT JOIN org_unit u ON u.id = d.school_id;
END;
