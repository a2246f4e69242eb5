"""Where accepted check-ins fell against the outline of a site: counts in cells of 50 m, never a person's position."""
