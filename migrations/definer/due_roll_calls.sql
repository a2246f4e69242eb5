-- Lists the roll calls with a step due at this instant: announce, extend or close.
-- Called by: backend/roll_call/settlement/tasks.py
-- Why it bypasses row-level security: a scheduled task has no scope; it takes the launcher's scope for each row.
CREATE OR REPLACE FUNCTION definer.due_roll_calls(p_now timestamptz)
RETURNS TABLE (roll_call_id uuid, launcher_path text, due text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
  WITH unfinished AS (
    SELECT r.id, r.launcher_path, r.notify_at,
           greatest(r.closes_at, (SELECT max(e.until) FROM roll_call_extension e
                                  WHERE e.roll_call_id = r.id)) AS deadline
    FROM roll_call r
    WHERE NOT EXISTS (SELECT 1 FROM roll_call_step s
                      WHERE s.roll_call_id = r.id AND s.step IN ('settled', 'voided'))
  )
  SELECT r.id, r.launcher_path, 'announce' FROM unfinished r
  WHERE r.notify_at <= p_now
    AND NOT EXISTS (SELECT 1 FROM roll_call_step s WHERE s.roll_call_id = r.id)
  UNION ALL
  -- Shortly before the close: an extension must be in place before a student finds the roll call closed.
  SELECT r.id, r.launcher_path, 'extend' FROM unfinished r
  WHERE p_now BETWEEN r.deadline - interval '1 minute' AND r.deadline
  UNION ALL
  SELECT r.id, r.launcher_path, 'close' FROM unfinished r WHERE r.deadline < p_now;
END;
