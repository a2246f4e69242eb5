"""`make clean-local`: deletes the data of this checkout's development services. Standard library only."""

import shutil
import sys
from pathlib import Path
from typing import get_args

from backend.devstack.errors import DevstackError, StillInUse
from backend.devstack.paths import SYSTEM_DATA, Purpose, checkout_id, prepare_location
from backend.devstack.services import stop_if_unused

KEPT_NAMES = {"tools"}
"""Created by `make setup`; not data, so not deleted."""


def delete_local_data(root: Path, system_data: Path = SYSTEM_DATA) -> None:
    """Delete all data of this checkout, inside and outside of it. Deletes nothing if any service is in use."""
    outside = system_data / checkout_id(root)
    used = [p for p in get_args(Purpose) if (root / ".local" / p).exists() or (outside / p).exists()]
    locations = [prepare_location(root, purpose, system_data=system_data) for purpose in used]
    for location in locations:
        if not stop_if_unused(location):
            raise StillInUse(path=location.data)
    for location in locations:
        shutil.rmtree(location.data)
        shutil.rmtree(
            location.sockets, ignore_errors=True
        )  # already gone if it was inside the data directory
    shutil.rmtree(outside, ignore_errors=True)
    for path in (root / ".local").glob("*"):
        if path.is_file():
            path.unlink()
        elif path.name not in KEPT_NAMES:
            shutil.rmtree(path)


def main() -> int:
    """Delete the data and report it, or print the error."""
    try:
        delete_local_data(Path(__file__).resolve().parents[2])
    except DevstackError as error:
        print(error.terminal_text(), file=sys.stderr)
        return 1
    print("已删除本地数据 · Local data deleted")
    return 0


if __name__ == "__main__":
    sys.exit(main())
