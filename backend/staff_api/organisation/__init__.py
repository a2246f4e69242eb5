"""Staff endpoints for units, terms, the calendar, sites, classes, students and rosters."""
