"""The staff API, for registrars, counselors, bureaus and the province. Each route parses, calls one service, renders."""
