"""The private stack of a checkout: system packages, environment, PostgreSQL, Redis and processes."""
