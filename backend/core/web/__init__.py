"""HTTP building blocks that both APIs share."""
