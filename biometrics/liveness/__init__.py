"""Liveness checks: requested actions, plausibility of a burst, re-use of pictures, and risk signals."""
