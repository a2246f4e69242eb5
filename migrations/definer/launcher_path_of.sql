-- Returns the path of the unit that launched a roll call.
-- Called by: migrations/versions/0008_roll_call.py (policies of roll_call_step and roll_call_extension),
-- migrations/definer/open_obligations.sql
-- Why it bypasses row-level security: the policies of `roll_call` and of its steps refer to each other.
CREATE OR REPLACE FUNCTION definer.launcher_path_of(p_roll_call uuid) RETURNS ltree
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
RETURN (SELECT CAST(r.launcher_path AS ltree) FROM roll_call r WHERE r.id = p_roll_call);
