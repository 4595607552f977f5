"""Worlds made up for training: boxes are where the pixels are, seeds repeat, nobody stands inside another."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.demo.camera import Camera
from pipeline.demo.looks import PersonLook
from pipeline.demo.paint import make_sprite
from pipeline.demo.simulation import Motion
from pipeline.demo.variety import clutter, lorry, places, shapes, shots, surfaces, two_wheeler, wardrobe, weather
from pipeline.demo.variety.cast import Casting
from pipeline.demo.variety.folders import CLASS_NAMES
from pipeline.demo.variety.posture import Gesture, Rider, draw_gesture
from pipeline.demo.variety.stage import Stage

CAMERA = Camera("camera-1", (0.0, -14.0, 6.0), 90.0, 22.0, 520.0, shots.NEUTRAL)

TURNED = replace(CAMERA, camera_id="camera-2", position=(14.0, 0.0, 6.0), bearing_deg=180.0)


def draw_look(name: str, rng: np.random.Generator) -> tuple[str, object]:
    """Return the class and the look of one of a kind."""
    if name == "person":
        return "person", wardrobe.person(rng)
    if name == "gesture":
        return "person", wardrobe.extended(wardrobe.person(rng), Gesture, draw_gesture(rng))
    if name == "rider":
        machine = two_wheeler.draw(rng, "bicycle")
        more = {"machine": machine, "helmet": (200, 30, 30), "upright": 0.5}
        return "person", wardrobe.extended(wardrobe.person(rng), Rider, more)
    if name in two_wheeler.KINDS:
        look = two_wheeler.draw(rng, name)
        return look.class_name, look
    if name == "car":
        return "car", wardrobe.car(rng)
    return name, lorry.draw_bus(rng) if name == "bus" else lorry.draw_lorry(rng)


EVERY_LOOK = ("person", "gesture", "rider", *two_wheeler.KINDS, "car", "bus", "truck")


def still(kinds_and_looks: list, xy: list, heading: list) -> Motion:
    """Return a world of one instant in which nobody moves."""
    count = len(xy)
    return Motion(
        kind=[kind for kind, _ in kinds_and_looks],
        looks=[look for _, look in kinds_and_looks],
        xy=np.array(xy, float).reshape(1, count, 2),
        heading=np.array(heading, float).reshape(1, count),
        speed=np.zeros((1, count)),
        phase=np.full((1, count), 0.7),
        braking=np.zeros((1, count), bool),
    )


def empty_place(rng: np.random.Generator) -> places.Place:
    floor = surfaces.floor(surfaces.weathered(rng, surfaces.bare_ground(rng)))
    return places.Place(floor, (), [], [], np.zeros((0, 3)), lambda camera: [], None)


def clear_stage(place: places.Place, motion: Motion, seed: int) -> Stage:
    """Return a stage whose camera is sharp and whose sky throws no shadows, so that only objects change pixels."""
    stage = Stage(CAMERA, place, motion, (seed,))
    calm = weather.calm(np.random.default_rng(seed), (CAMERA.width_px, CAMERA.height_px))
    stage.weather = replace(calm, shadow_strength=0.0, noise=np.zeros_like(calm.noise))
    return stage


@pytest.mark.parametrize("name", EVERY_LOOK)
@pytest.mark.parametrize("heading", [0.0, 0.9, 2.4, 4.1])
def test_the_pixels_of_an_object_fill_its_box_and_no_more(name, heading):
    rng = np.random.default_rng(5)
    motion = still([draw_look(name, rng)], [(0.0, 1.0)], [heading])
    stage = clear_stage(empty_place(rng), motion, 3)
    (picture, [seen]), (without, nobody) = stage.frame(0), stage.frame(0, without=frozenset({0}))
    assert nobody == []
    assert seen.visibility == pytest.approx(1, abs=1e-6)
    changed = np.abs(picture.astype(int) - without).max(2) > 3
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    painted = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
    outside = np.maximum(seen.xyxy - painted, 0)[:2].max(), np.maximum(painted - seen.xyxy, 0)[2:].max()
    assert max(outside) <= 1.5  # a pixel of the sprite's rounding, half of its smoothing
    # Colours like the ground's hide an edge here and there, never half of the object.
    assert (painted[2:] - painted[:2]) == pytest.approx(seen.xyxy[2:] - seen.xyxy[:2], abs=6)


@pytest.mark.parametrize("seed", range(4))
def test_visibility_is_the_share_of_its_pixels_that_is_left(seed):
    """Beside an oracle: the pixels that change when one is taken away, against those when nobody else is there."""
    rng = np.random.default_rng(seed)
    looks = [draw_look(str(name), rng) for name in rng.choice((*EVERY_LOOK[:2], "car"), 6)]
    xy = [(float(x), float(2.5 * row)) for row, x in enumerate(rng.uniform(-1.2, 1.2, 6))]
    motion = still(looks, xy, rng.uniform(0, 6, 6).tolist())
    stage = clear_stage(empty_place(rng), motion, seed)
    all_of_them = frozenset(range(6))

    def pixels(without: frozenset[int], i: int) -> int:
        with_it, without_it = (stage.frame(0, without=w)[0].astype(int) for w in (without, without | {i}))
        return int((np.abs(with_it - without_it).max(2) > 2).sum())

    everything = stage.frame(0)[1]
    assert [seen.index for seen in everything] == list(range(6))
    assert min(seen.visibility for seen in everything) < 0.8, "nothing hides anything: no test"
    for seen in everything:
        assert (seen.xyxy >= 0).all() and (seen.xyxy <= (640, 360, 640, 360)).all()
        oracle = pixels(frozenset(), seen.index) / pixels(all_of_them - {seen.index}, seen.index)
        assert seen.visibility == pytest.approx(oracle, abs=0.1)


def test_a_rider_is_painted_before_their_machine():
    rng = np.random.default_rng(1)
    machine = two_wheeler.draw(rng, "motorcycle")
    person = wardrobe.extended(wardrobe.person(rng), Rider, {"machine": machine, "helmet": None, "upright": 0.8})
    for heading in np.linspace(0, 6, 7):
        motion = still([("motorcycle", machine), ("person", person)], [(0, 0), (0, 0)], [heading, heading])
        ridden, rider = clear_stage(empty_place(rng), motion, 2).frame(0)[1]
        assert rider.visibility == pytest.approx(1, abs=1e-6)
        assert 0.2 < ridden.visibility < 1
        assert rider.xyxy[1] < ridden.xyxy[1]  # the head is higher than the mirrors
        assert rider.xyxy[3] < ridden.xyxy[3] + 1  # and the feet are on the machine


def test_what_is_partly_behind_the_camera_is_not_painted():
    rng = np.random.default_rng(0)
    below = still([("bus", lorry.draw_bus(rng))], [CAMERA.position[:2]], [0.0])
    assert clear_stage(empty_place(rng), below, 0).frame(0)[1] == []


def test_same_seed_same_pictures_in_any_order():
    rng = np.random.default_rng(0)
    place = places.made_up(rng)
    motion = Casting(rng, place, [CAMERA], np.linspace(-2, 2, 4)[None]).fill()
    one, other = (Stage(CAMERA, place, motion, (7, 1)) for _ in range(2))
    later, first = other.frame(3), other.frame(0)
    for t, (picture, seen) in ((0, first), (3, later)):
        expected, expected_seen = one.frame(t)
        np.testing.assert_array_equal(picture, expected)
        assert [(s.index, s.visibility, *s.xyxy) for s in seen] == [
            (s.index, s.visibility, *s.xyxy) for s in expected_seen
        ]
    assert not np.array_equal(Stage(CAMERA, place, motion, (7, 2)).frame(0)[0], first[0])


@pytest.mark.parametrize("seed", range(6))
def test_nobody_stands_inside_another(seed):
    rng = np.random.default_rng(seed)
    place = places.made_up(rng)
    motion = Casting(rng, place, [CAMERA, TURNED], np.linspace(-3, 3, 6).reshape(2, 3)).fill()
    walking = [i for i, look in enumerate(motion.looks) if isinstance(look, PersonLook) and not isinstance(look, Rider)]
    for t in range(motion.frames):
        at = motion.xy[t, walking]
        apart = np.linalg.norm(at[:, None] - at[None], axis=2) + 9 * np.eye(len(at))
        assert not (apart < 0.47).any()
        for look, xy, heading in zip(motion.looks, motion.xy[t], motion.heading[t], strict=True):
            if isinstance(look, PersonLook) or np.isnan(xy).any():
                continue
            turn = np.array([[np.cos(heading), -np.sin(heading)], [np.sin(heading), np.cos(heading)]])
            inside = np.abs((at - xy) @ turn) < 0.4 * np.array([look.length_m, look.width_m])
            assert not inside.all(1).any()


def test_every_class_comes_up_and_riders_sit_on_their_machines():
    counts = dict.fromkeys(CLASS_NAMES, 0)
    for seed in range(25):
        rng = np.random.default_rng([1, seed])
        motion = Casting(rng, places.made_up(rng), [CAMERA], np.zeros((1, 1))).fill()
        for kind in motion.kind:
            counts[kind] += 1
        for i, look in enumerate(motion.looks):
            if isinstance(look, Rider):
                j = motion.looks.index(look.machine)
                np.testing.assert_array_equal(motion.xy[:, i], motion.xy[:, j])
    assert min(counts.values()) >= 5, counts
    assert counts["person"] == max(counts.values())


def test_an_empty_world_has_pictures_and_nothing_in_them():
    rng = np.random.default_rng(2)
    nobody = Motion([], [], np.zeros((1, 0, 2)), *(np.zeros((1, 0)) for _ in range(3)), np.zeros((1, 0), bool))
    picture, seen = Stage(CAMERA, empty_place(rng), nobody, (1,)).frame(0)
    assert (picture.shape, picture.dtype, seen) == ((360, 640, 3), np.uint8, [])


@pytest.mark.parametrize("seed", range(5))
def test_cameras_near_the_demos_are_near_and_the_others_within_bounds(seed):
    rng = np.random.default_rng(seed)
    for camera in shots.near_views(rng, 4):
        gaps = [np.linalg.norm(np.subtract(camera.position, v.camera.position)) for v in shots.VIEWS]
        assert min(gaps) < 14
    for camera in (*shots.in_town(rng, 2), *shots.anywhere(rng, 2)):
        assert shots.HEIGHT_M[0] <= camera.position[2] <= shots.HEIGHT_M[1]
        assert shots.TILT_DEG[0] <= camera.tilt_deg <= shots.TILT_DEG[1]
    points = shots.ground_seen(rng, camera, 50, 40.0)
    assert (np.linalg.norm(points - camera.position[:2], axis=1) < 40).all()


def test_clutter_is_painted_or_left_out_but_never_fails():
    rng = np.random.default_rng(0)
    drawn = [clutter.draw(rng, xy)(CAMERA) for xy in rng.uniform(-12, 12, (120, 2))]
    assert sum(sprite is not None for sprite in drawn) > 40


@pytest.mark.parametrize("kind", wardrobe.PATTERNS)
def test_a_pattern_covers_part_of_one_garment_and_nothing_else(kind):
    on, other, new = (200, 40, 40), (40, 40, 200), (10, 200, 10)
    shape = [
        (np.array([(0, 0), (30, 0), (30, 30), (0, 30)], np.float32), on),
        (np.array([(0, 30), (30, 30), (30, 60), (0, 60)], np.float32), other),
    ]
    finish = wardrobe.finish(wardrobe.Pattern(kind, on, new, 0.1))
    rgba = make_sprite(shape, np.zeros((4, 2)), finish=finish).rgba
    plain = make_sprite(shape, np.zeros((4, 2))).rgba
    np.testing.assert_array_equal(rgba[..., 3], plain[..., 3])
    np.testing.assert_array_equal(rgba[33:], plain[33:])
    share = (rgba[2:30, 2:30, 1] > 0.5).mean()
    assert 0.1 < share < 0.9


def test_what_is_too_near_is_not_painted():
    rng = np.random.default_rng(0)
    near = replace(CAMERA, position=(0.0, -3.0, 3.0), focal_px=900.0)
    assert shapes.painted(lorry.draw_bus(rng), near, np.zeros(2), 0.0, shapes.Pose(0, 0, False)) is None
