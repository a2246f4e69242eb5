"""Reason claims: justified reasons for missed roll calls, filed by the school side and decided by the launcher."""
