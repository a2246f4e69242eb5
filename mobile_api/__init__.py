"""The phone API, for students. Each route parses, calls one service, renders."""
