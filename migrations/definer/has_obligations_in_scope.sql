-- Tells whether the roll call addresses the school of the scope, or any school below its path.
-- Called by: migrations/versions/0008_roll_call.py (policies of roll_call and roll_call_step)
-- Why it bypasses row-level security: inside a policy the tables would be read under their own policies again, and
-- planning all of them takes longer than the query. In plpgsql, which caches the plans for the whole connection.
CREATE OR REPLACE FUNCTION definer.has_obligations_in_scope(p_roll_call uuid) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  IF tenancy.is_wide() THEN
    RETURN EXISTS (SELECT 1 FROM roll_call_school s JOIN org_unit u ON u.id = s.school_id
                   WHERE s.roll_call_id = p_roll_call AND u.kind = 'school' AND u.path <@ tenancy.path());
  END IF;
  RETURN EXISTS (SELECT 1 FROM roll_call_school s
                 WHERE s.roll_call_id = p_roll_call AND s.school_id = tenancy.school());
END $$;
