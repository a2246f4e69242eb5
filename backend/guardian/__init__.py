"""Guardians: notices of misses, warnings and prompts with a link, and what a guardian reads and files with it."""
