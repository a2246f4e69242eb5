"""Positions of check-ins that a case rests on, shown to the account that may decide it. Each view is recorded."""
