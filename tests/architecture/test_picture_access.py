"""Pictures of faces reach people in one way only: the look is recorded, then the picture is opened."""

import ast
from pathlib import Path

import pytest

from backend.identity.pictures.opening import OpenedPicture
from backend.identity.pictures.responses import picture_response
from tests.architecture.source_tree import calls, parsed_modules

pytestmark = pytest.mark.xdist_group("architecture")

OPENING = Path("backend/identity/pictures/opening.py")
STORE = Path("backend/identity/pictures/store.py")
WORKERS = {
    Path("backend/identity/devices/rebinding_judgement.py"),
    Path("backend/identity/face/enrolment_judgement.py"),
    Path("backend/identity/face/pictures.py"),
    Path("backend/identity/face/portrait_judgement.py"),
    Path("backend/identity/face/reembedding.py"),
    Path("backend/retention/frame_reencoding.py"),
    Path("backend/roll_call/verification/analysis.py"),
}
"""The modules that open pictures to judge or re-encode them, and show them to no person."""


def readers() -> set[Path]:
    """The modules that await `get` of an evidence store, or of something named so."""
    return {
        path
        for path, tree in parsed_modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Await) and ast.unparse(node.value).partition("(")[0].endswith("evidence.get")
    }


def callers(suffix: str) -> set[Path]:
    """The modules that call something whose source text ends so."""
    return {
        path
        for path, tree in parsed_modules()
        for call in calls(tree)
        if ast.unparse(call.func).endswith(suffix)
    }


def test_only_the_store_of_sealed_pictures_and_the_one_of_attachments_read_files() -> None:
    upgrade = Path(
        "backend/retention/plain_pictures.py"
    )  # reads plain files of earlier versions, to seal them
    assert readers() == {STORE, Path("backend/people/attachment_files.py"), upgrade}


def test_pictures_are_opened_by_workers_and_by_the_opening_function_only() -> None:
    assert callers("get_picture") == WORKERS | {OPENING}


def test_only_the_opening_function_makes_an_opened_picture_or_a_recorded_view() -> None:
    assert callers("OpenedPicture") == {OPENING}
    assert callers("RecordedView") == {OPENING}


def test_a_response_with_a_picture_takes_an_opened_picture_and_is_not_stored() -> None:
    assert picture_response.__annotations__["opened"] is OpenedPicture


def test_no_other_endpoint_answers_with_an_image() -> None:
    """Attachments (sick notes) are no pictures of faces; the endpoints of both APIs name no other image type."""
    named = {
        path
        for path, tree in parsed_modules()
        if path.parts[0] == "mobile_api" or path.parts[:2] == ("backend", "staff_api")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Response")
        for value in ast.walk(node)
        if isinstance(value, ast.Constant) and str(value.value).startswith("image/")
    }
    assert named == set()
