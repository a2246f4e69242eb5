"""Aid: applications, eligibility, payments, withdrawal and reinstatement (HN334-4.1d, MOE19-3.5)."""
