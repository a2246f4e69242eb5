-- Lists the schools whose history was not replayed on this legal day.
-- Called by: backend/standing/store/replay_tasks.py
-- Why it bypasses row-level security: a scheduled task has no scope; it takes the scope of each school returned.
CREATE OR REPLACE FUNCTION definer.unreplayed_schools(p_day date)
RETURNS TABLE (school_id uuid, path text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
  SELECT u.id, CAST(u.path AS text) FROM org_unit u
  WHERE u.kind = 'school'
    AND NOT EXISTS (SELECT 1 FROM replay_run r WHERE r.school_id = u.id AND r.legal_day = p_day);
END;
