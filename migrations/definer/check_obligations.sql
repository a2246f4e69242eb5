-- Trigger on `obligation`: every new row belongs to an existing roll call of its term.
-- It replaces a foreign key: a launch inserts a million rows of one roll call, and this checks it once.
-- Called by: migrations/versions/0008_roll_call.py (trigger check_obligations)
-- Why it bypasses row-level security: a constraint must see every row, like a foreign key.
CREATE OR REPLACE FUNCTION definer.check_obligations() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
BEGIN
  IF EXISTS (SELECT n.roll_call_id, n.term_code FROM new_rows n
             EXCEPT SELECT r.id, r.term_code FROM roll_call r) THEN
    RAISE foreign_key_violation USING MESSAGE = 'an obligation refers to a roll call or a term that does not exist';
  END IF;
  RETURN NULL;
END
$$;
