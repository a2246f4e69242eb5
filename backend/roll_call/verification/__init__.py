"""Verification: the queue of complete submissions and the workers that decide their verdicts. See README.md."""
