"""Leave: requests, approval, return, day counts."""
