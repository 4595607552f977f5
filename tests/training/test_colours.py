"""Beginning with colours: what whitening does, and that the network says then what they say."""

import numpy as np
import torch

from pipeline.perception.networks.embedding_network import Design, EmbeddingNetwork
from pipeline.training.colours import begin_with_colours, within_class_whitening
from pipeline.training.crops import Crops


def test_whitened_rows_differ_little_where_an_identity_does():
    rng = np.random.default_rng(0)
    identity = np.repeat(np.arange(40), 10)
    rows = rng.normal(size=(40, 3))[identity] + rng.normal(size=(400, 3)) * [3.0, 0.3, 0.3]
    whitened = rows @ within_class_whitening(rows, identity)

    def ratio(x):
        means = np.stack([x[identity == name].mean(axis=0) for name in range(40)])
        return means.var(axis=0).sum() / (x - means[identity]).var(axis=0).sum()

    assert ratio(whitened) > 3 * ratio(rows)
    np.testing.assert_allclose(whitened.var(axis=0).sum(), rows.var(axis=0).sum())


def test_a_network_begins_with_what_colours_say():
    rng = np.random.default_rng(1)
    images = rng.integers(0, 255, (30, 3, 8, 4)).repeat(8, axis=2).repeat(8, axis=3).astype(np.uint8)
    zeros = np.zeros(30, np.int64)
    crops = Crops(images, np.repeat(np.arange(10), 3), zeros, zeros, np.full(30, "person"))
    torch.manual_seed(0)
    network = EmbeddingNetwork(Design(backbone="osnet", width=0.25, crop_hw=(64, 32), colours=True)).eval()
    begin_with_colours(network, crops)
    with torch.inference_mode():
        seen = network.colours(torch.from_numpy(images).float()).numpy().astype(np.float64)
        said = network(torch.from_numpy(images).float()).numpy()
    expected = (seen - seen.mean(axis=0)) @ within_class_whitening(seen, crops.identity)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(said, expected, atol=1e-3)
