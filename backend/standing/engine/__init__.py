"""The rules of standing as pure functions; start reading at `assess.py`."""
