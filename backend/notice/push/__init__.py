"""Web push: one more channel of notices, for phones whose browser has a push service."""
