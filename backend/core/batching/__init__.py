"""Handling many requests at once: writing them in batches, and computing for each in the order of arrival."""
