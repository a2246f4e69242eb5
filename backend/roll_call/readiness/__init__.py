"""Which schools have completed the rehearsal of each cohort, and reminders to those that lag (HN334-3.3, HN334-5.1)."""
