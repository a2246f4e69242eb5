"""Prompts: deliveries, decisions, reversals, statements and queries."""
