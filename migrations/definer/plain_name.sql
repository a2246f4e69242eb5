-- Normalises a person's name for comparison: the middle dots of minority names come in several code points, and
-- spaces carry no meaning.
-- Called by: migrations/definer/open_registration.sql
-- Runs with the rights of its caller and reads no table.
CREATE OR REPLACE FUNCTION definer.plain_name(name text) RETURNS text LANGUAGE sql IMMUTABLE
  RETURN translate(name, '•‧・．.  　', '·····');
