-- Counts an attempt under a key (the keyed hash of a login name, a device or an address). Returns whether the attempt
-- is allowed, and until when the key must wait: after a refusal, or after this attempt if it fails.
-- The attempt is counted as failed before anything is checked, so that parallel guesses are limited like sequential
-- ones; `forget_attempt` takes it back. p_delays contains the delay after the first failure, the second, and so on.
-- `first_refusal` is true once per delay, so that a log entry for each delay is enough.
-- Called by: backend/identity/sign_in/unscoped_queries.py, migrations/definer/open_sign_in.sql
-- Why it bypasses row-level security: before sign-in the caller has no scope.
CREATE OR REPLACE FUNCTION definer.count_attempt(p_key bytea, p_at timestamptz, p_delays interval[], p_memory interval)
RETURNS TABLE (allowed boolean, waits_until timestamptz, first_refusal boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  counter sign_in_throttle;
  delay interval;
BEGIN
  INSERT INTO sign_in_throttle (key, failures, refusals, counted_at) VALUES (p_key, 0, 0, p_at)
    ON CONFLICT (key) DO NOTHING;
  SELECT * INTO counter FROM sign_in_throttle t WHERE t.key = p_key FOR UPDATE;
  allowed := counter.blocked_until IS NULL OR counter.blocked_until <= p_at;
  IF allowed THEN
    IF counter.counted_at < p_at - p_memory THEN counter.failures := 0; END IF;
    counter.failures := counter.failures + 1;
    delay := p_delays[least(counter.failures, array_length(p_delays, 1))];
    waits_until := CASE WHEN delay > interval '0' THEN p_at + delay END;
    UPDATE sign_in_throttle t
      SET failures = counter.failures, refusals = 0, counted_at = p_at, blocked_until = waits_until
      WHERE t.key = p_key;
  ELSE
    first_refusal := counter.refusals = 0;
    waits_until := counter.blocked_until;
    UPDATE sign_in_throttle t SET refusals = t.refusals + 1 WHERE t.key = p_key;
  END IF;
  RETURN NEXT;
END $$;
