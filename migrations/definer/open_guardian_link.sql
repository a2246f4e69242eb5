-- Finds the link of a guardian by the hash of its token, and counts the request in the minute that it belongs to.
-- `on_roster`: the guardian is still on the roster as when the link was issued. `granted`, `text_version`: the newest
-- answer to the consent. No row for an unknown token.
-- Called by: backend/guardian/unscoped_queries.py
-- Why it bypasses row-level security: the scope of a guardian's request is only known from this answer.
CREATE OR REPLACE FUNCTION definer.open_guardian_link(p_hash bytea, p_at timestamptz, p_limit integer)
RETURNS TABLE (link_id uuid, guardian_id uuid, guardian_name text, relation text, student_id uuid, school_id uuid,
               school_path text, birth_date date, issued_at timestamptz, expires_at timestamptz, revoked_at timestamptz,
               on_roster boolean, granted boolean, text_version text, requests integer, window_at timestamptz)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
  WITH used AS (
    UPDATE guardian_link l
    SET window_at = CASE WHEN l.window_at > p_at - interval '1 minute' THEN l.window_at ELSE p_at END,
        window_requests = CASE WHEN l.window_at > p_at - interval '1 minute'
                               THEN least(l.window_requests, p_limit) + 1 ELSE 1 END
    WHERE l.token_hash = p_hash
    RETURNING l.*
  )
  SELECT l.id, l.guardian_id, l.guardian_name::text, l.relation::text, l.student_id, l.school_id, u.path::text,
         s.birth_date, l.issued_at, l.expires_at, l.revoked_at,
         EXISTS (SELECT 1 FROM guardian g
                 WHERE g.id = l.guardian_id AND g.student_id = l.student_id AND g.is_guardian),
         coalesce(c.granted, false), c.text_version::text, l.window_requests, l.window_at
  FROM used l
  JOIN student s ON s.id = l.student_id
  JOIN org_unit u ON u.id = l.school_id
  LEFT JOIN LATERAL (
    SELECT k.granted, k.text_version FROM consent k
    WHERE k.student_id = l.student_id AND k.kind = 'guardian_notice'
    ORDER BY k.at DESC, k.id DESC LIMIT 1
  ) c ON true;
END;
