"""Law cases: facts and expectations written by a lawyer in YAML, run against the engine (docs/law-cases.md)."""
