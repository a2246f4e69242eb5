"""Who is above whom, and when: divisions, province → bureau → school, terms, and the working-day calendar."""
