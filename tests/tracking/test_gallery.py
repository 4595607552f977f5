"""The shared-buffer gallery against plain lists of features."""

from __future__ import annotations

import numpy as np

from pipeline.tracking.gallery import Gallery
from tests.tracking.scenes import looks


class PlainGallery:
    """The slow oracle: a list of features per track, values copied at every step."""

    def __init__(self, size: int, tracks: list[list[np.ndarray]]) -> None:
        self.size, self.tracks = size, tracks

    def then(self, keep, rows, features, new) -> PlainGallery:
        tracks = [list(track) for track in self.tracks]
        for row, feature in zip(rows, features):
            tracks[row] = [*tracks[row], feature][-self.size :]
        return PlainGallery(self.size, [tracks[i] for i in keep] + [[feature] for feature in new])

    def distance(self, feature: np.ndarray) -> np.ndarray:
        return np.array([[min(1 - float(mine @ f) for mine in track) for f in feature] for track in self.tracks])


def test_no_tracks_and_no_features():
    gallery = Gallery.empty(5)
    assert len(gallery) == 0
    assert gallery.min_cosine_distance(np.zeros((0, 2), bool), looks(1, 2)).shape == (0, 2)
    assert gallery.extend(looks()) is gallery
    assert gallery.append(np.zeros(0, np.int64), looks()) is gallery
    assert gallery.extend(looks(1)).min_cosine_distance(np.zeros((1, 0), bool), looks()).shape == (1, 0)


def test_nearest_feature_counts_and_the_oldest_is_forgotten():
    gallery = Gallery.empty(2).extend(looks(1))
    row, ask = np.array([0]), np.ones((1, 1), bool)
    gallery = gallery.append(row, looks(2))
    np.testing.assert_allclose(gallery.min_cosine_distance(ask, looks(1)), 0, atol=1e-6)
    gallery = gallery.append(row, looks(3))
    assert gallery.min_cosine_distance(ask, looks(1))[0, 0] > 0.5
    np.testing.assert_allclose(gallery.min_cosine_distance(ask, looks(2)), 0, atol=1e-6)


def test_pairs_that_are_no_candidates_are_infinite():
    gallery = Gallery.empty(2).extend(looks(1, 2))
    candidate = np.array([[True, False], [False, False]])
    distance = gallery.min_cosine_distance(candidate, looks(1, 2))
    np.testing.assert_array_equal(np.isinf(distance), ~candidate)


def test_equals_plain_lists_through_births_deaths_and_branches():
    rng = np.random.default_rng(0)
    probe = looks(*range(900, 905))
    history = [(Gallery.empty(7), PlainGallery(7, []))]
    for step in range(300):
        # Mostly from the latest, now and then from an older one: both branches must stay right.
        gallery, plain = history[-1] if step % 10 else history[rng.integers(len(history))]
        n_tracks = len(gallery)
        rows = np.flatnonzero(rng.random(n_tracks) < 0.7)
        keep = np.flatnonzero(rng.random(n_tracks) < 0.95)
        n_new = int(rng.poisson(0.4))
        features = looks(*rng.integers(0, 10**6, len(rows)))
        new = looks(*rng.integers(0, 10**6, n_new))
        history.append((gallery.append(rows, features).take(keep).extend(new), plain.then(keep, rows, features, new)))
    for gallery, plain in history[::7]:
        assert len(gallery) == len(plain.tracks)
        everything = np.ones((len(gallery), len(probe)), bool)
        distance = gallery.min_cosine_distance(everything, probe)
        np.testing.assert_allclose(distance, plain.distance(probe).reshape(distance.shape), atol=1e-6)


def test_packing_keeps_the_order_and_unpacking_gives_it_back():
    gallery = Gallery.empty(3).extend(looks(1, 2)).append(np.array([1]), looks(3)).take(np.array([1, 0]))
    count, feature = gallery.pack()
    assert count.tolist() == [2, 1]
    np.testing.assert_array_equal(feature, looks(2, 3, 1))
    again = Gallery.unpack(3, count, feature)
    grown = again.append(np.array([0, 1]), looks(4, 5)).append(np.array([0]), looks(6))
    np.testing.assert_array_equal(grown.pack()[1], looks(3, 4, 6, 1, 5))
    np.testing.assert_array_equal(again.pack()[1], feature)


def test_a_crowd_of_one_frame_tracks_does_not_pile_up():
    gallery = Gallery.empty(100).extend(looks(1))
    for _ in range(500):
        gallery = gallery.extend(looks(2, 3)).take(np.array([0]))
    assert len(gallery._buffer.features) < 50
