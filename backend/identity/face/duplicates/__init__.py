"""The search for one face enrolled under two names. It is off until an authority has a legal basis."""
