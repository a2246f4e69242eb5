"""The figures of the face benchmarks: the page shows what was measured, and a small run of the benchmark works."""

import json
from pathlib import Path

import numpy as np
import pytest

from bench.face import accuracy as face_accuracy
from bench.face import tables as face_tables
from bench.face.accuracy import Person, PictureSet
from biometrics.engines.sface import KEY, SFaceEngine


@pytest.mark.parametrize("name", list(face_tables.TABLES))
def test_table_of_the_page_shows_the_measured_figures(name: str) -> None:
    document = json.loads(face_tables.FIGURES.read_text("utf-8"))
    assert face_tables.table_in_page(name) == face_tables.render_table(document, name)


def test_worst_group_of_the_shipped_engine_stands_first() -> None:
    rows = json.loads(face_tables.FIGURES.read_text("utf-8"))["separation"]
    shipped = [row for row in rows if row["engine"] == str(KEY)]
    assert rows[: len(shipped)] == shipped
    assert [row["tar low"] for row in shipped] == sorted(row["tar low"] for row in shipped)


def test_sample_people_are_described_and_separated(
    sface_engine: SFaceEngine, people: dict[str, tuple[Path, ...]]
) -> None:
    chosen = {name: list(people[name][:4]) for name in list(people)[2:8]}
    pictures = face_accuracy.describe_set(sface_engine, "samples", chosen)
    assert (len(pictures.people), pictures.pictures, pictures.undetected) == (6, 24, 0)
    row = face_accuracy.measure_separation(pictures, 1)
    assert (row["people"], row["tar"]) == (6, 1.0)
    assert face_accuracy.measure_rule(pictures) is None


def make_set(name: str, people: int, spread: float, seed: int) -> PictureSet:
    """Drawn people: a direction each, and six pictures near it."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(people, 64))
    drawn = []
    for centre in centres:
        pictures = centre + random.normal(0, spread, (6, 64))
        drawn.append(Person(pictures, pictures))
    return PictureSet(name, "drawn/1", tuple(drawn), 6 * people, 0)


def test_rule_is_measured_on_people_it_was_not_learned_from() -> None:
    rule = face_accuracy.measure_rule(make_set("drawn", 120, 0.5, 1))
    assert rule is not None
    assert (rule["people learned from"], rule["people tested"]) == (60, 60)
    assert rule["fmr"] <= rule["fmr, 95 % of splits below"] < 0.01
    assert rule["tar"] > 0.99


def test_threshold_of_other_people_is_measured_as_such() -> None:
    wide, narrow = make_set("wide", 120, 0.5, 1), make_set("narrow", 60, 0.5, 2)
    shared = np.full(64, 1.0)  # what people of one population have in common
    alike = PictureSet(
        "alike",
        narrow.engine,
        tuple(Person(each.template + shared, each.probe + shared) for each in narrow.people),
        narrow.pictures,
        0,
    )
    same = face_accuracy.measure_travel(wide, narrow)
    other = face_accuracy.measure_travel(wide, alike)
    assert other["fmr"] > 10 * same["fmr"]
