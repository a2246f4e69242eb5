"""Staff API routes of standing: prompts, claims, change requests, outages, attendance, ledger, explanations."""
