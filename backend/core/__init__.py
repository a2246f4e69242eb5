"""What every room stands on: clock, ids, errors, transactions, tenancy, outbox, audit, keys, paging."""
