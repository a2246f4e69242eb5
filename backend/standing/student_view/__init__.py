"""Students' view of their own standing."""
