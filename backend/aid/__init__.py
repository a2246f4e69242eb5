"""Student aid: applications, payments, the ledger, withdrawal and reinstatement (HN334-4.1d, MOE19-3.5)."""
