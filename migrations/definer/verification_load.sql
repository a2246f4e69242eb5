-- Counts the verification tasks by state, separately for one roll call and for all others.
-- Called by: backend/roll_call/verification/metrics.py
-- Why it bypasses row-level security: the waiting time of one roll call depends on the tasks of every school. It
-- returns counts only.
CREATE OR REPLACE FUNCTION definer.verification_load(p_roll_call uuid)
RETURNS TABLE (state text, own boolean, tasks bigint, oldest timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
  SELECT t.state, t.roll_call_id IS NOT DISTINCT FROM coalesce(p_roll_call, t.roll_call_id), count(*),
         min(t.enqueued_at)
  FROM verification_task t GROUP BY 1, 2;
END;
