"""The standing ledger: queries, the feed, and the report of changes to part-time."""
