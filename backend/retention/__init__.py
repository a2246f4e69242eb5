"""Retention (保存期限): deletes data whose retention period is over, and records what was deleted."""
