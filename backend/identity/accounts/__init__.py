"""Accounts: staff accounts, passwords, a student's activation steps, and a school's readiness."""
