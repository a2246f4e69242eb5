"""Search for one face under two names: the nearest faces by blocks, and the score that strangers reach rarely."""

import numpy as np
import pytest

from bench.face.one_face_two_students import run
from biometrics.matching import duplicates
from biometrics.matching.duplicates import NearestFaces, TooFewFaces, fit_rare_score, to_directions


def strangers(people: int, seed: int = 1, dimension: int = 128) -> duplicates.Singles:
    """Random directions with a common part, as faces of one population have."""
    rng = np.random.default_rng(seed)
    return to_directions(rng.normal(size=(people, dimension)) + rng.normal(size=dimension) * 0.4)


def none_own(queries: int) -> np.ndarray:
    return np.full(queries, -1, dtype=np.int64)


def test_nearest_faces_are_those_of_one_full_product(monkeypatch: pytest.MonkeyPatch) -> None:
    queries, gallery = strangers(40), strangers(300, seed=2)
    monkeypatch.setattr(duplicates, "_BLOCK_CELLS", 700)  # several blocks
    nearest = NearestFaces(queries)
    for part in (gallery[:100], gallery[100:101], gallery[101:]):
        nearest.add(part, none_own(40))
    product = queries @ gallery.T
    assert nearest.faces.tolist() == product.argmax(axis=1).tolist()
    assert np.allclose(nearest.scores, product.max(axis=1), atol=1e-6)
    assert nearest.compared == product.size


def test_a_face_is_not_compared_with_itself() -> None:
    faces = strangers(50)
    nearest = NearestFaces(faces)
    nearest.add(faces, np.arange(50))
    assert nearest.scores.max() < 0.99
    assert nearest.compared == 50 * 49


def test_one_person_under_two_names_is_above_the_rare_score_and_strangers_are_not() -> None:
    gallery = strangers(1500)
    noise = np.random.default_rng(3).normal(size=128) * 0.02
    queries = to_directions([gallery[7] + noise, *strangers(60, seed=9)])
    nearest = NearestFaces(queries)
    nearest.add(gallery, none_own(len(queries)))
    limit = nearest.rare_score(0.1, 1500 * 1499 // 2)
    assert [(pair.query, pair.face) for pair in nearest.pairs_from(limit)] == [(0, 7)]


@pytest.mark.parametrize("rate", [1e-3, 1e-4])
def test_rare_score_extrapolates_an_exponential_tail(rate: float) -> None:
    rng = np.random.default_rng(5)
    heights = rng.exponential(0.08, size=40_000)
    limit = fit_rare_score(np.tanh(heights), rate)
    unseen = np.tanh(rng.exponential(0.08, size=4_000_000))
    assert (unseen > limit).mean() == pytest.approx(rate, rel=0.4)


def test_few_true_duplicates_hardly_move_the_rare_score() -> None:
    scores = np.tanh(np.random.default_rng(6).exponential(0.08, size=20_000))
    with_duplicates = np.concatenate([scores, np.full(20, 0.97)])
    assert fit_rare_score(with_duplicates, 1e-5) == pytest.approx(fit_rare_score(scores, 1e-5), abs=0.03)


def test_too_few_scores_fit_nothing() -> None:
    with pytest.raises(TooFewFaces):
        fit_rare_score(np.linspace(0, 0.5, 500), 1e-6)


def test_benchmark_finds_every_copied_face() -> None:
    rows = run(faces_count=4000, queries_count=50, random_seed=1)
    assert rows[0]["search"] == "numpy blocks"
    assert {row["found"] for row in rows} == {1.0}
    assert rows[0]["million pairs/s"] > 0
