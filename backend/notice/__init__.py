"""Notices: sent in the app and by SMS, with receipts that later serve as evidence."""
