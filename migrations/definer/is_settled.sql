-- Tells whether a roll call is settled.
-- Called by: migrations/versions/0008_roll_call.py (policy of roll_call)
-- Why it bypasses row-level security: the policies of `roll_call` and of its steps refer to each other.
CREATE OR REPLACE FUNCTION definer.is_settled(p_roll_call uuid) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  RETURN EXISTS (SELECT 1 FROM roll_call_step s WHERE s.roll_call_id = p_roll_call AND s.step = 'settled');
END $$;
