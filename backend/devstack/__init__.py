"""Starts the development stack of a checkout: system packages, virtual environment, PostgreSQL, Redis, processes."""
