import numpy as np
import pytest

from pipeline.perception.background import Background, empty_picture, exposure_gain


def scene(height=60, width=80, seed=0, light=1.0, noise=3.0):
    """A textured empty scene under some light, with fresh sensor noise."""
    texture = np.random.default_rng(7).uniform(60, 160, (height // 4, width // 4, 3)).repeat(4, 0).repeat(4, 1)
    noisy = texture * light + np.random.default_rng(seed).normal(0, noise, texture.shape)
    return noisy.clip(0, 255).astype(np.uint8)


def passing(n=20):
    """Frames in which a bright thing passes, nowhere for long."""
    frames = np.stack([scene(seed=i) for i in range(n)])
    for i, frame in enumerate(frames):
        frame[20:40, i * 3 : i * 3 + 8] = 250
    return frames


def foreground(background, frame):
    return background.subtract(frame).core


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_median_agrees_with_numpy(n):
    frames = np.random.default_rng(n).integers(0, 256, (n, 70, 9, 3), np.uint8)
    empty, spread = empty_picture(frames, 20.0, 16.0)
    wanted = np.sort(frames, axis=0)[(n - 1) // 2]
    np.testing.assert_array_equal(empty, wanted)
    deviation = np.abs(frames.astype(int) - wanted).max(axis=-1)
    np.testing.assert_array_equal(spread, np.sort(deviation, axis=0)[(n - 1) // 2])


def test_who_passes_is_not_in_the_background():
    empty, _ = empty_picture(passing(), 20.0, 16.0)
    assert np.abs(empty.astype(int) - scene(noise=0)).max() < 8


def test_empty_frame_has_no_foreground():
    background = Background(passing(), 20.0, 10.0, 16.0)
    for seed in range(50, 53):
        assert not foreground(background, scene(seed=seed)).any()


@pytest.mark.parametrize("light", [0.7, 1.3, np.array([1.2, 1.0, 0.85])])
def test_change_of_the_whole_light_is_no_object(light):
    background = Background(passing(), 20.0, 10.0, 16.0)
    mask = foreground(background, scene(seed=99, light=light))
    assert mask.mean() < 0.005
    np.testing.assert_allclose(exposure_gain(scene(light=light, noise=0) + 0.0, scene(noise=0) + 0.0), light, rtol=0.02)


def test_object_is_foreground_and_its_shadow_is_not():
    background = Background(passing(), 20.0, 10.0, 16.0)
    frame = scene(seed=99).astype(float)
    frame[30:34, 20:50] *= 0.6
    frame[10:30, 20:30] = (170, 40, 50)
    found = background.subtract(frame.astype(np.uint8))
    mask, distance = found.core, found.distance
    assert mask[11:29, 21:29].all() and (distance[11:29, 21:29] > 1).all()
    assert mask[30:34, 32:50].mean() < 0.1 and found.clear[30:34, 32:50].mean() > 0.9
    assert not mask[40:].any()


def test_restless_pixels_need_a_greater_difference():
    frames = np.stack([scene(seed=i) for i in range(21)])
    frames[::2, :, :20] = np.clip(frames[::2, :, :20].astype(int) + 60, 0, 255)  # leaves in the wind
    frames[1::3, :, :20] = np.clip(frames[1::3, :, :20].astype(int) - 40, 0, 255)
    mask = foreground(Background(frames, 20.0, 10.0, 16.0), frames[0])
    assert mask[:, :20].mean() < 0.05


def test_follows_slow_light_but_keeps_who_waits():
    fps = 1.0
    background = Background(passing(), 20.0, fps, 16.0)
    for second in range(60):
        frame = scene(seed=200 + second).astype(float)
        frame[:, :40] *= 1 + 0.3 * second / 60  # half of the scene comes into the sun
        frame[20:40, 60:70] = (200, 30, 30)  # somebody waits for a minute
        mask = foreground(background, frame.clip(0, 255).astype(np.uint8))
    assert mask[:, :40].mean() < 0.02
    assert mask[21:39, 61:69].all()


def test_inputs_are_not_written():
    frames, frame = passing(), scene(seed=5)
    before = frames.copy(), frame.copy()
    Background(frames, 20.0, 10.0, 16.0).subtract(frame)
    np.testing.assert_array_equal(frames, before[0])
    np.testing.assert_array_equal(frame, before[1])
