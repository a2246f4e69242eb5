-- Trigger on `aid_posting`, checked at commit: each instalment is granted exactly once and in full, and no account
-- of it is negative.
CREATE OR REPLACE FUNCTION aid_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  granted bigint; due bigint; paid bigint; withdrawn bigint; awarded bigint;
BEGIN
  SELECT
    sum(p.fen) FILTER (WHERE p.source = 'budget'),
    sum(CASE 'due' WHEN p.target THEN p.fen WHEN p.source THEN -p.fen ELSE 0 END),
    sum(CASE 'paid' WHEN p.target THEN p.fen WHEN p.source THEN -p.fen ELSE 0 END),
    sum(CASE 'withdrawn' WHEN p.target THEN p.fen WHEN p.source THEN -p.fen ELSE 0 END)
  INTO granted, due, paid, withdrawn
  FROM aid_posting p WHERE p.award_id = NEW.award_id AND p.month = NEW.month;
  SELECT i.fen INTO awarded FROM aid_instalment i WHERE i.award_id = NEW.award_id AND i.month = NEW.month;
  IF granted IS DISTINCT FROM awarded OR due < 0 OR paid < 0 OR withdrawn < 0 THEN
    RAISE EXCEPTION 'aid of award % for % does not balance: granted % of %, due %, paid %, withdrawn %',
      NEW.award_id, NEW.month, granted, awarded, due, paid, withdrawn
      USING ERRCODE = 'check_violation', CONSTRAINT = 'aid_balanced';
  END IF;
  RETURN NULL;
END $$;
