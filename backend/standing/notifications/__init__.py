"""Notices about prompts, changes, warnings and claims."""
