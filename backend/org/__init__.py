"""The tree of authorities and schools, terms, and the working-day calendar."""
