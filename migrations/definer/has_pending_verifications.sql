-- Tells whether any verification task is waiting or leased.
-- Called by: backend/roll_call/verification/metrics.py
-- Why it bypasses row-level security: tasks belong to schools, and the question is about all of them.
CREATE OR REPLACE FUNCTION definer.has_pending_verifications() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
RETURN EXISTS (SELECT 1 FROM verification_task WHERE state = 'waiting')
       OR EXISTS (SELECT 1 FROM verification_task WHERE state = 'leased');
