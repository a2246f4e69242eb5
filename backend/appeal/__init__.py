"""Appeals: filing, routing to an authority, messages, decisions and restoration; gaokao eligibility (HN334-4.2)."""
