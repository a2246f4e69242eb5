"""Converts a Strict Open XML workbook (ISO/IEC 29500 Strict) to the transitional form, which openpyxl reads.

Both forms differ in the names of their namespaces; the elements that a roster needs are the same. Excel writes the
strict form if a user chooses “Strict Open XML Spreadsheet” in the list of file types.
"""

import tempfile
import zipfile
from typing import IO

CHUNK = 1024 * 1024

_STRICT = b"http://purl.oclc.org/ooxml/"
_NAMESPACES = (
    (_STRICT + b"spreadsheetml/main", b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"),
    (
        _STRICT + b"officeDocument/relationships",
        b"http://schemas.openxmlformats.org/officeDocument/2006/relationships",
    ),
    (_STRICT + b"drawingml/main", b"http://schemas.openxmlformats.org/drawingml/2006/main"),
)
_LONGEST = max(len(strict) for strict, _ in _NAMESPACES)
_RELATIONS = "_rels/.rels"
_XML = (".xml", ".rels")


def is_strict(stream: IO[bytes]) -> bool:
    """Whether the archive's own relations name strict types. The caller has checked the sizes of the parts."""
    with zipfile.ZipFile(stream) as archive:
        if _RELATIONS not in archive.namelist():
            return False
        return _STRICT + b"officeDocument/relationships/officeDocument" in archive.read(_RELATIONS)


def to_transitional(stream: IO[bytes]) -> IO[bytes]:
    """A temporary file with the same workbook in the transitional form. Parts other than XML are left out."""
    converted = tempfile.TemporaryFile()  # noqa: SIM115  the caller closes it
    try:
        with (
            zipfile.ZipFile(stream) as source,
            zipfile.ZipFile(converted, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target,
        ):
            for entry in source.infolist():
                if entry.filename.lower().endswith(_XML):
                    with (
                        source.open(entry) as part,
                        target.open(entry.filename, "w", force_zip64=True) as copy,
                    ):
                        _replace_namespaces(part, copy)
    except BaseException:
        converted.close()
        raise
    converted.seek(0)
    return converted


def _replace_namespaces(part: IO[bytes], copy: IO[bytes]) -> None:
    """Copy in chunks. The end of each chunk is kept for the next one, because a name may continue there."""
    rest = b""
    while chunk := part.read(CHUNK):
        text = rest + chunk
        for strict, transitional in _NAMESPACES:
            text = text.replace(strict, transitional)
        cut = max(0, len(text) - _LONGEST + 1)
        copy.write(text[:cut])
        rest = text[cut:]
    copy.write(rest)
