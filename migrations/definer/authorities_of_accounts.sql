-- Returns the authorities (province or bureau) that these accounts belong to.
-- Called by: backend/appeal/parties.py
-- Why it bypasses row-level security: an appeal must not be decided by an authority that took part in the appealed
-- decision, and neither the student nor the school can see the accounts above them.
CREATE OR REPLACE FUNCTION definer.authorities_of_accounts(p_accounts uuid[]) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
  SELECT DISTINCT a.org_id FROM account a
  WHERE a.id = ANY (p_accounts) AND a.kind IN ('province', 'bureau');
END;
