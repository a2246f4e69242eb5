"""`make clean-local`: delete the data of this checkout's private services. Standard library only."""

import shutil
import sys
from pathlib import Path
from typing import get_args

from backend.devstack.errors import LocalRefusal, StillInUse
from backend.devstack.paths import SYSTEM_DATA, Purpose, find_place, short_name
from backend.devstack.services import stop_unused

KEPT = {"tools"}
"""What `make setup` made is not data."""


def delete_local_data(root: Path, system_data: Path = SYSTEM_DATA) -> None:
    """Everything this checkout keeps, wherever it lies; nothing at all while any of it is in use."""
    outside = system_data / short_name(root)
    used = [p for p in get_args(Purpose) if (root / ".local" / p).exists() or (outside / p).exists()]
    places = [find_place(root, purpose, system_data=system_data) for purpose in used]
    for place in places:
        if not stop_unused(place):
            raise StillInUse(path=place.data)
    for place in places:
        shutil.rmtree(place.data)
        shutil.rmtree(place.sockets, ignore_errors=True)  # beside the data it went with them
    shutil.rmtree(outside, ignore_errors=True)
    for path in (root / ".local").glob("*"):
        if path.is_file():
            path.unlink()
        elif path.name not in KEPT:
            shutil.rmtree(path)


def main() -> int:
    """Delete and say so, or say what stands in the way."""
    try:
        delete_local_data(Path(__file__).resolve().parents[2])
    except LocalRefusal as refusal:
        print(refusal.lines(), file=sys.stderr)
        return 1
    print("已删除本地数据 · Local data deleted")
    return 0


if __name__ == "__main__":
    sys.exit(main())
