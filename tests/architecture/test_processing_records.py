"""The record of processing names every table with data about faces and positions, and no table that does not exist."""

import re

from backend.tables import METADATA
from tests.architecture.source_tree import ROOT

RECORD = ROOT / "docs" / "privacy" / "processing-records.md"
ABOUT_FACES = re.compile(r"(face|picture|selfie|portrait|look|shared_picture|template|school_template)(_|$)")
ABOUT_POSITIONS = {"submission", "submission_frame", "verdict", "attestation"}
KEYS = {"picture_key", "template_key", "school_template_key"}
"""Tables of wrapped keys: the record names the keys in words."""


def named_tables() -> set[str]:
    """The tables in the rows “where” of the record."""
    rows = [line for line in RECORD.read_text(encoding="utf-8").splitlines() if line.startswith("| where |")]
    assert rows
    return {name for row in rows for name in re.findall(r"`([a-z_]+)`", row)}


def test_tables_in_the_record_exist() -> None:
    assert named_tables() - set(METADATA.tables) == set()


def test_every_table_about_faces_or_positions_is_in_the_record() -> None:
    about_faces = {name for name in METADATA.tables if ABOUT_FACES.match(name)}
    assert (about_faces | ABOUT_POSITIONS) - KEYS - named_tables() == set()
