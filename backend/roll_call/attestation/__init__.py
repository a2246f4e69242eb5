"""The non-face route: card codes, attestations on site, their limits, reviews and escalations."""
