"""Launch of a roll call: authority, window, audience, notices and the spread of arrivals."""
