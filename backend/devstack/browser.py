"""Finds Debian's Chromium and a Chinese font for the browser tests, and installs them if they are missing.

`python -m backend.devstack.browser` prints the path of Chromium.
"""

import shutil
import sys
from pathlib import Path

from backend.devstack.errors import DevstackError
from backend.devstack.packages import install_packages, not_installed

FONTS = Path("/usr/share/fonts")
FONT_FILES = "**/NotoSansCJK*"


def missing_browser_packages(fonts: Path = FONTS) -> tuple[str, ...]:
    """Return the names of the Debian packages to install."""
    missing = []
    if shutil.which("chromium") is None:
        missing.append("chromium")
    if not any(fonts.glob(FONT_FILES)):
        missing.append("fonts-noto-cjk")
    return tuple(missing)


def ensure_browser() -> Path:
    """Return the path of Chromium, installed on first use. Raises an error that says what to do."""
    missing = missing_browser_packages()
    if missing and (not install_packages(missing) or missing_browser_packages()):
        raise not_installed(missing)
    return Path(shutil.which("chromium") or "chromium")


def main() -> int:
    """Print the path, or the error."""
    try:
        print(ensure_browser())
    except DevstackError as error:
        print(error.terminal_text(), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
