"""Units (authorities and schools), terms and vacations, administrative divisions, and the working-day calendar."""
