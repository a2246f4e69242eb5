"""Pictures of screens for docs/screens. Tests with the mark `pictures` keep them in `make screens`, and nowhere else."""

import io
import os
from pathlib import Path

from PIL import Image
from playwright.async_api import Page

FOLDER = "DIANMING_SCREENS"
"""Names the folder for the pictures; without it none are kept."""


async def keep_picture(page: Page, name: str, most_height: int = 0) -> None:
    """Keep a small picture of the page, if pictures are wanted: what the screen shows, or the page down to `most_height`."""
    if folder := os.environ.get(FOLDER):
        if most_height:
            await page.evaluate("window.scrollTo(0, 0)")  # else the menu, which sticks to the window, is cut
        taken = await page.screenshot(animations="disabled", full_page=most_height > 0)
        _store(taken, Path(folder), name, most_height)


def _store(taken: bytes, folder: Path, name: str, most_height: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with Image.open(io.BytesIO(taken)) as opened:
        kept = opened.crop((0, 0, opened.width, min(opened.height, most_height))) if most_height else opened
        kept.convert("RGB").save(folder / f"{name}.webp", quality=80, method=6)
