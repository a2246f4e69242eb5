"""What every other package builds on: clock, ids, errors, transactions, tenancy, outbox, audit, keys, pagination."""
