"""Change requests: changes of standing without a prompt, approved level by level."""
