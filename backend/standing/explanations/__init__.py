"""Explanations of prompts, changes and warnings in plain language."""
