"""Formats amounts."""


def format_yuan(fen: int) -> str:
    """Format fen as yuan: `12345` → `123.45`."""
    return f"{fen // 100}.{fen % 100:02d}"
