"""Retention (保存期限): what was kept long enough is deleted, and what was deleted is on record."""
