import numpy as np
import pytest

from pipeline.errors import WeightsError
from pipeline.perception import projection
from pipeline.perception.projection import fit_pca, random_projection, unit_rows


def features(n=300, dim=200, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((n, dim)) * np.linspace(3, 0.1, dim) + 1).astype(np.float32)


def test_unit_rows_is_never_nan():
    rows = unit_rows(np.array([[3, 4], [0, 0], [np.nan, 1], [np.inf, 1]], np.float32))
    np.testing.assert_allclose(rows, [[0.6, 0.8], [1, 0], [1, 0], [1, 0]])
    assert unit_rows(np.zeros((0, 5))).shape == (0, 5)


@pytest.mark.parametrize("dim", [3, 127, 128, 129, 512])
def test_random_projection_is_fixed_and_keeps_angles(dim):
    fitted = random_projection(dim, "m")
    np.testing.assert_array_equal(fitted.matrix, random_projection(dim, "m").matrix)
    rows = unit_rows(np.random.default_rng(1).standard_normal((20, dim)))
    found = fitted.apply(rows)
    assert found.shape == (20, 128) and found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)
    # Up to 128 numbers lose nothing; beyond, the error of a cosine is about sqrt(1 / 128).
    tolerance = 1e-5 if dim <= 128 else 5 / np.sqrt(128)
    np.testing.assert_allclose(found @ found.T, rows @ rows.T, atol=tolerance)
    assert fitted.apply(np.zeros((0, dim))).shape == (0, 128)


def test_pca_keeps_what_varies_most():
    rows = features()
    fitted = fit_pca(rows, "m")
    np.testing.assert_allclose(fitted.matrix.T @ fitted.matrix, np.eye(128), atol=1e-4)
    variance = ((unit_rows(rows) - fitted.mean) @ fitted.matrix).var(axis=0)
    assert (np.diff(variance) <= 1e-7).all()
    best = np.sort(np.linalg.eigvalsh(np.cov(unit_rows(rows).T, bias=True)))[::-1][:128]
    np.testing.assert_allclose(variance, best, rtol=1e-2, atol=1e-7)


@pytest.mark.parametrize("shape", [(127, 200), (200, 127), (0, 200)])
def test_too_little_to_fit(shape):
    with pytest.raises(ValueError, match="at least 128"):
        fit_pca(np.zeros(shape), "m")


def test_saved_and_loaded(tmp_path):
    fitted = fit_pca(features(), "digest-a")
    path = tmp_path / "p.npz"
    projection.save(fitted, path)
    first = path.read_bytes()
    projection.save(fit_pca(features(), "digest-a"), path)
    assert path.read_bytes() == first and [each.name for each in tmp_path.iterdir()] == ["p.npz"]
    loaded = projection.load(path, dim=200, model_digest="digest-a", model="onnx:a")
    np.testing.assert_array_equal(loaded.apply(features()), fitted.apply(features()))


def test_projections_of_others_are_refused(tmp_path):
    path = tmp_path / "p.npz"
    projection.save(fit_pca(features(), "digest-a"), path)
    with pytest.raises(WeightsError, match=r"p.npz: fitted for another model than onnx:b"):
        projection.load(path, dim=200, model_digest="digest-b", model="onnx:b")
    with pytest.raises(WeightsError, match=r"expected mean \(512,\)"):
        projection.load(path, dim=512, model_digest="digest-a", model="onnx:a")
    with pytest.raises(WeightsError, match="no such file"):
        projection.load(tmp_path / "absent.npz", dim=200, model_digest="a", model="onnx:a")
    np.savez(tmp_path / "other.npz", a=1)
    (tmp_path / "text.npz").write_text("hello")
    for name in ("other.npz", "text.npz"):
        with pytest.raises(WeightsError, match="not a projection"):
            projection.load(tmp_path / name, dim=200, model_digest="a", model="onnx:a")


def test_whitening_brings_loud_directions_nearer_to_the_quiet():
    rng = np.random.default_rng(3)
    features = unit_rows(rng.normal(size=(600, 160)) * np.geomspace(8, 1, 160))
    plain, tempered = (fit_pca(features, "m", whitening=power) for power in (0.0, 0.25))
    spread = [((features - one.mean) @ one.matrix).std(axis=0) for one in (plain, tempered)]
    np.testing.assert_allclose(spread[1] / spread[1][0], np.sqrt(spread[0] / spread[0][0]), rtol=1e-3)
    flat = np.zeros((200, 160))
    flat[:, 0] = rng.normal(size=200)
    flat[:, 1] = 1
    assert np.isfinite(fit_pca(flat, "m", whitening=0.5).matrix).all()  # directions without any variance
