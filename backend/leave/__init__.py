"""Leave: requests, decisions, exemption from roll calls and days per term (HN334-3.5a, 3.5b)."""
