"""Live progress of a roll call: counters, totals in memory, access, and server-sent events."""
