import numpy as np
import pytest
import torch

from pipeline.config import DetectorConfig, EmbedderConfig, TilesConfig
from pipeline.perception.filtering import select
from pipeline.perception.frames import upload
from pipeline.perception.perception import Perception
from pipeline.perception.tiles import TiledDetector, is_cut, merge, regions
from pipeline.types import COCO_CLASSES, CameraView, Detections, FrameBatch
from tests.realdata import data_path

PERSON, CAR, TRUCK, BICYCLE = (COCO_CLASSES.index(name) for name in ("person", "car", "truck", "bicycle"))
COLOURS = (PERSON, CAR, TRUCK)
"""What red, green and blue are to the detector below."""


def detections(rows):
    """Rows of (x1, y1, x2, y2, score, class id)."""
    table = np.array(rows, float).reshape(-1, 6)
    return Detections(table[:, :4].astype(np.float32), table[:, 4].astype(np.float32), table[:, 5].astype(np.int16))


def picture(*things, height=120, width=200):
    """Black, with each thing (x1, y1, x2, y2, class) in its colour."""
    image = np.zeros((height, width, 3), np.uint8)
    for x1, y1, x2, y2, class_id in things:
        image[y1:y2, x1:x2, COLOURS.index(class_id)] = 250
    return image


def frames(*images):
    index = np.arange(len(images))
    return upload(FrameBatch(np.stack(images), index.astype(np.int32), index), "cpu")


class Shrinking:
    """Finds things by their colour, in pictures shrunk to 50 pixels' width as a network's input is: small ones fade."""

    def detect(self, frames):
        found = []
        for image in frames.images:
            shrink = max(1.0, image.shape[2] / 50)
            size = (round(image.shape[1] / shrink), round(image.shape[2] / shrink))
            small = torch.nn.functional.interpolate(image[None].float(), size, mode="bilinear", antialias=True)[0]
            rows = []
            for colour, class_id in zip(small.numpy(), COLOURS):
                y, x = np.nonzero(colour > 180)
                if len(x):
                    box = np.array([x.min(), y.min(), x.max() + 1, y.max() + 1]) * shrink
                    rows.append((*box, 0.9, class_id))
            found.append(detections(rows))
        return found


def tiled(**tiles):
    return DetectorConfig(use="onnx:d.onnx", tiles=tiles)


def find(image, config):
    found = TiledDetector(Shrinking(), config).detect(frames(image))[0]
    return select(found, config, width_px=image.shape[1], height_px=image.shape[0])


def test_regions_by_rows_and_columns():
    found = regions(TilesConfig(rows=1, columns=2, overlap=0.2), 180, 100)
    np.testing.assert_array_equal(found, [[0, 0, 100, 100], [80, 0, 180, 100], [0, 0, 180, 100]])
    assert len(regions(TilesConfig(rows=3, columns=4, whole_frame=False), 3840, 2160)) == 12


@pytest.mark.parametrize("whole", [True, False])
def test_regions_by_size(whole):
    found = regions(TilesConfig(tile_px=1280, overlap=0.2, whole_frame=whole), 3840, 2160)
    tiles = found[: len(found) - whole]
    assert len(tiles) == 8  # 3840 = 1280 + 3 x 853, 2160 = 1280 + 880
    assert ((tiles[:, 2:] - tiles[:, :2]) == 1280).all()
    assert whole == (found[-1].tolist() == [0, 0, 3840, 2160])


@pytest.mark.parametrize(
    "tiles", [{"rows": 3, "columns": 2}, {"tile_px": 100}, {"tile_px": 333, "overlap": 0.5}, {"tile_px": 1000}]
)
@pytest.mark.parametrize("size", [(640, 360), (321, 123), (100, 100)])
def test_tiles_cover_the_picture_and_overlap(tiles, size):
    config = TilesConfig(**tiles, whole_frame=False)
    seen = np.zeros(size[::-1], int)
    found = regions(config, *size)
    for x1, y1, x2, y2 in found:
        assert 0 <= x1 < x2 <= size[0] and 0 <= y1 < y2 <= size[1]
        seen[y1:y2, x1:x2] += 1
    assert seen.min() >= 1
    for axis in (0, 1):
        starts, ends = (np.unique(found[:, side]) for side in (axis, axis + 2))
        shared = ends[:-1] - starts[1:]
        assert (shared >= config.overlap * (ends - starts)[0] - 1.01).all()


def test_whole_frame_is_looked_at_once_where_it_is_the_only_tile():
    assert regions(TilesConfig(tile_px=640), 320, 200).tolist() == [[0, 0, 320, 200]]


def test_small_things_are_found_in_tiles_only():
    image = picture((61, 41, 64, 44, PERSON))
    assert len(select(Shrinking().detect(frames(image))[0], DetectorConfig(), width_px=200, height_px=120)) == 0
    found = find(image, tiled(rows=3, columns=4))
    assert found.class_id.tolist() == [PERSON]
    np.testing.assert_allclose(found.xyxy, [[61, 41, 64, 44]], atol=1.5)


def test_thing_across_a_border_is_one_and_whole():
    seen = regions(TilesConfig(rows=1, columns=4, overlap=0.2), 200, 120)
    border = int(seen[0, 2])
    for x1 in range(border - 30, border + 10, 3):
        image = picture((x1, 30, x1 + 24, 60, TRUCK))
        for whole in (True, False):
            found = find(image, tiled(rows=1, columns=4, overlap=0.2, whole_frame=whole))
            assert len(found) == 1, x1
            np.testing.assert_allclose(found.xyxy, [[x1, 30, x1 + 24, 60]], atol=4.1)


def test_thing_larger_than_a_tile_is_one():
    image = picture((20, 20, 180, 100, TRUCK))
    for whole in (True, False):
        found = find(image, tiled(rows=2, columns=3, overlap=0.2, whole_frame=whole))
        np.testing.assert_allclose(found.xyxy, [[20, 20, 180, 100]], atol=4.1)


def test_neighbours_at_a_border_stay_two():
    image = picture((40, 30, 52, 60, PERSON), (54, 30, 66, 60, CAR))
    found = find(image, tiled(rows=1, columns=4, overlap=0.3, whole_frame=False))
    assert sorted(found.class_id.tolist()) == [PERSON, CAR]


REGIONS = np.array([[0, 0, 60, 100], [40, 0, 100, 100]])


def test_nothing_stays_nothing():
    nothing = Detections.empty()
    assert len(merge([nothing, nothing], REGIONS, 100, 100)) == 0
    assert TiledDetector(Shrinking(), tiled(tile_px=64)).detect(_none()) == []


def _none():
    return upload(FrameBatch(np.zeros((0, 80, 80, 3), np.uint8), np.zeros(0, np.int32), np.zeros(0, np.int64)), "cpu")


def test_parts_that_agree_are_joined_with_the_surest_ones_class():
    parts = [detections([(20, 10, 60, 40, 0.6, CAR)]), detections([(40, 11, 90, 41, 0.8, TRUCK)])]
    found = merge(parts, REGIONS, 100, 100)
    np.testing.assert_array_equal(found.xyxy, [[20, 10, 90, 41]])
    assert found.class_id.tolist() == [TRUCK] and found.score == pytest.approx([0.8])


def test_parts_of_two_things_are_not_joined():
    apart = [detections([(20, 10, 60, 40, 0.6, PERSON)]), detections([(40, 60, 90, 95, 0.8, PERSON)])]
    assert len(merge(apart, REGIONS, 100, 100)) == 2
    rider = [detections([(20, 10, 60, 40, 0.6, PERSON)]), detections([(40, 10, 90, 40, 0.8, BICYCLE)])]
    assert len(merge(rider, REGIONS, 100, 100)) == 2


def test_part_of_a_thing_seen_whole_goes():
    whole = [detections([(20, 10, 58, 40, 0.6, PERSON)]), detections([(40, 10, 58, 40, 0.9, PERSON)])]
    found = merge(whole, REGIONS, 100, 100)
    np.testing.assert_array_equal(found.xyxy, [[20, 10, 58, 40]])
    assert found.score == pytest.approx([0.6])


def test_sides_of_the_picture_cut_nothing():
    xyxy = np.array([[0, 0, 30, 100], [70, 50, 100, 100], [30, 20, 60, 50], [41, 20, 50, 50]], np.float32)
    np.testing.assert_array_equal(is_cut(xyxy, REGIONS[[0, 1, 0, 1]], 100, 100), [False, False, True, False])
    assert not is_cut(xyxy[:1], np.array([[0, 0, 100, 100]]), 100, 100).any()


@pytest.mark.realdata
def test_real_network_finds_more_small_people_in_tiles():
    """The clip laid four by four into a frame of 1920 x 1440: people are 13 pixels high in the network's input."""
    import av

    with av.open(str(data_path("video/vtest_480x360.mp4"))) as clip:
        images = [f.to_ndarray(format="rgb24") for i, f in enumerate(clip.decode(video=0)) if i % 40 == 0][:16]
    wall = np.concatenate([np.concatenate(images[row * 4 : row * 4 + 4], axis=1) for row in range(4)])
    use = f"onnx:{data_path('weights/yolox_nano.onnx')}"
    perception = Perception(EmbedderConfig(), device="cpu", threads=1)

    def people(image, **section):
        config = DetectorConfig(use=use, classes=("person",), score_threshold=0.4, **section)
        view = CameraView("c", image.shape[1], image.shape[0], None, "", 1.0)
        batch = FrameBatch(image[None], np.zeros(1, np.int32), np.zeros(1, np.int64))
        return perception.session(config, view, lambda n: image[None]).perceive(batch)[0][0]

    apart = sum(len(people(image)) for image in images)
    whole, tiled = len(people(wall)), len(people(wall, tiles={"rows": 4, "columns": 4, "overlap": 0.2}))
    assert apart > 80
    assert whole < 0.2 * apart and 0.8 * apart < tiled < 1.2 * apart
