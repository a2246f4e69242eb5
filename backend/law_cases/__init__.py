"""Law cases: facts and expectations that a lawyer writes and reads, run against the rules (docs/law-cases.md)."""
