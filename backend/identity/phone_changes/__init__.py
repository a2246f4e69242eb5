"""Changes of the phone number of a student who has bound a phone: proposed by the school, decided by someone else."""
