"""Quarantined enrolments and transfers between schools (MOE19-2.4, reading 23)."""
