"""How fast does a tracker take in a frame? Ours beside the field's own, `nightfleet bench tracker` calls it.

Inputs: `mot15`, the real detections of the sequences in a MOTChallenge folder, each frame of each; and `objects-N`,
dense made-up scenes. Every detection has a seeded embedding of 128 numbers. Timed is the update call alone, from
detections in the tracker's own form to its answer; nothing is drawn, decoded, read or converted. Of 500 objects there
are so few frames that galleries never fill: the times of trackers with looks are understated (see CROWD_FRAMES).
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from pipeline import boxes
from pipeline.config import tracker_preset
from pipeline.errors import UserError
from pipeline.evaluation import peers
from pipeline.evaluation.sequences import DetectedSequence, read_sequences
from pipeline.tracking import compiled, deep_sort
from pipeline.types import COCO_CLASSES, EMBEDDING_DIM, Detections

CROWDS = (50, 100, 200, 500)
"""Objects in the made-up scenes."""

CROWD_FRAMES = {50: 120, 100: 110, 200: 110, 500: 40}
"""Frames of each, every one of them timed. Galleries start empty and hold 100 looks: up to 200 objects they are full at
the end, and half full on average. With 500 the reference takes 0.15 s a frame and all trackers together could not be
waited for, so galleries stay under 40 looks: what scores against a gallery, the reference above all, would take longer
in footage that goes on."""

REPEATS = 3
WIDTH_PX, HEIGHT_PX = 1920, 1080
THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")

SHARED_DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
"""Where a checkout's real test data lie unless $NIGHTFLEET_TEST_DATA says otherwise."""

REFERENCE = tracker_preset("reference")
"""Ours has the settings of the reference implementation, so that both do the same work and find the same tracks."""

_PERSON = COCO_CLASSES.index("person")

Frames = list[tuple[Detections, np.ndarray]]


def bench_tracker(
    data: Path | None, *, complain: Callable[[str], None] = lambda sentence: print(sentence, file=sys.stderr)
) -> list[dict]:
    """Measure every tracker on every input. Returns {input, tracker, ms_per_frame}, input by input.

    Trackers take turns, REPEATS rounds of them, each from an empty state, so that a busy machine is busy for all; a
    tracker's figure is the median of its rounds, the time of all the frames of an input divided by their number. One
    that is not installed and an input that is not there are left out, and `complain` is told so.

    They run in a process of their own where BLAS has one thread, as all but deep-sort-realtime use one anyway: its
    products are small, and two threads that wait for each other on a busy machine made it three times slower.

    data is a folder of MOTChallenge sequences, or one that has them in `mot15`; without it $NIGHTFLEET_TEST_DATA is
    such a one, or ../shared/data beside a checkout. `ioutrack` is its SORT. Raises UserError where `data` is no folder.
    """
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))  # read when numpy is imported, by the process now started
    try:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as alone:
            rows, said = alone.submit(_measured, data).result()
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
    for sentence in said:
        complain(sentence)
    return rows


def _measured(data: Path | None) -> tuple[list[dict], list[str]]:
    """Measure in this process. Returns the rows, and what there was to complain of."""
    rows: list[dict] = []
    said: list[str] = []
    complain = said.append
    rivals = _present(complain)
    for name, scenes in _inputs(data, complain):
        times: dict[str, list[float]] = {tracker: [] for tracker in rivals}
        n_frames = sum(len(frames) for frames in scenes)
        for _ in range(REPEATS):
            for tracker, update_s in rivals.items():
                times[tracker].append(sum(update_s(frames) for frames in scenes) / n_frames * 1e3)
        rows += [
            {"input": name, "tracker": tracker, "ms_per_frame": float(np.median(each))}
            for tracker, each in times.items()
        ]
    return rows, said


def footnote(inputs: Sequence[str]) -> str:
    """Say what the times of these inputs leave out."""
    said = (
        f"Galleries start empty and hold {REFERENCE.gallery_size} looks: trackers with looks (nightfleet, "
        "deep-sort-realtime) take longer once they are full."
    )
    short = {f"objects-{n}": CROWD_FRAMES[n] for n in CROWDS if CROWD_FRAMES[n] < REFERENCE.gallery_size}
    for name in inputs:
        if name in short:
            said += f" In {name} they never are: it has {short[name]} frames, to keep the wait short."
    return said


def crowd(n_objects: int, n_frames: int, seed: int) -> Frames:
    """Make up a scene of people who walk straight and turn back at the edges of a picture of 1920x1080.

    Seen are 92 of 100, centres with 2 px of noise and heights (60 to 160 px) with 2 %; beside them come false boxes, 3
    for every 100 people. A person's embeddings lie about 0.06 (cosine distance) around an own direction, strangers
    about 1 from each other: appearance can tell them apart, and is needed, since people pass through each other.
    """
    rng = np.random.default_rng(seed)
    edge = np.array([WIDTH_PX, HEIGHT_PX])
    own = rng.standard_normal((n_objects, EMBEDDING_DIM))
    place, pace = rng.uniform(0, edge, (n_objects, 2)), rng.normal(0, 3, (n_objects, 2))
    height = rng.uniform(60, 160, n_objects)
    frames = []
    for _ in range(n_frames):
        place = place + pace
        pace = np.where((place < 0) | (place > edge), -pace, pace)
        seen = np.flatnonzero(rng.random(n_objects) > 0.08)
        n_false = rng.poisson(0.03 * n_objects)
        centre = np.concatenate([place[seen] + rng.normal(0, 2, (len(seen), 2)), rng.uniform(0, edge, (n_false, 2))])
        half_y = np.append(height[seen], np.full(n_false, 100.0)) / 2 * rng.normal(1, 0.02, len(seen) + n_false)
        half = np.column_stack([0.4 * half_y, half_y])
        look = np.concatenate([own[seen], np.zeros((n_false, EMBEDDING_DIM))])
        look = look + rng.standard_normal(look.shape) * np.append(np.full(len(seen), 0.25), np.ones(n_false))[:, None]
        frames.append(_frame(np.concatenate([centre - half, centre + half], axis=1), rng, look))
    return frames


def _frame(xyxy: np.ndarray, rng: np.random.Generator, look: np.ndarray) -> tuple[Detections, np.ndarray]:
    """Lay out one frame's boxes with scores, and bring the looks to unit length."""
    score = rng.uniform(0.8, 1, len(xyxy)).astype(np.float32)
    look = look / np.linalg.norm(look, axis=1, keepdims=True)
    detections = Detections(xyxy.astype(np.float32), score, np.full(len(xyxy), _PERSON, np.int16))
    return detections, look.astype(np.float32)


def _inputs(data: Path | None, complain: Callable[[str], None]) -> Iterator[tuple[str, list[Frames]]]:
    """Yield each input's name and its scenes, real ones first."""
    folder = next((path for path in _folders(data) if path.is_dir()), None)
    if folder is not None:
        yield "mot15", [_real(sequence) for sequence in read_sequences(folder)]
    elif data is not None:
        raise UserError(f"{data}: no such folder; --data takes a folder of MOTChallenge sequences")
    else:
        complain("mot15 left out: its sequences are not here; give their folder as --data")
    for n_objects in CROWDS:
        yield f"objects-{n_objects}", [crowd(n_objects, CROWD_FRAMES[n_objects], seed=n_objects)]


def _folders(data: Path | None) -> list[Path]:
    """List where the real sequences may lie, the best place first."""
    if data is not None:
        return [data / "mot15", data]
    named = os.environ.get("NIGHTFLEET_TEST_DATA")
    return [(Path(named) if named else SHARED_DATA) / "mot15"]


def _real(sequence: DetectedSequence) -> Frames:
    """Return a real sequence's detections with made-up looks.

    Where a detection overlaps an object of the truth by more than half, it has that object's own look and half as much
    noise; elsewhere noise alone.
    """
    rng = np.random.default_rng(0)
    look = rng.standard_normal((len(sequence), EMBEDDING_DIM))
    truth = sequence.truth
    if truth is not None:
        own = rng.standard_normal((int(truth.track_id.max(initial=0)) + 1, EMBEDDING_DIM))
        true_xyxy = boxes.xywh_to_xyxy(truth.xywh)
        for frame in np.unique(sequence.frame):
            here, there = np.flatnonzero(sequence.frame == frame), np.flatnonzero(truth.frame == frame)
            if len(there):
                iou = boxes.iou(sequence.xyxy[here].astype(np.float64), true_xyxy[there])
                hit = iou.max(axis=1) > 0.5
                look[here[hit]] += 2 * own[truth.track_id[there[iou[hit].argmax(axis=1)]]]
    look = (look / np.linalg.norm(look, axis=1, keepdims=True)).astype(np.float32)
    return [(detections, np.ascontiguousarray(look[rows])) for rows, detections in sequence.frames()]


def _present(complain: Callable[[str], None]) -> dict[str, Callable[[Frames], float]]:
    """Return what times each tracker over a scene, in seconds; one that is not installed is complained of."""
    present = {"nightfleet": lambda frames: _ours_s(frames, deep_sort.advance)}
    if compiled.available():
        compiled.warm_up()
        present["nightfleet (numpy)"] = lambda frames: _ours_s(frames, deep_sort.advance_numpy)
    else:
        complain("numba is missing or switched off: nightfleet is measured without its compiled core")
    for name in peers.PEER_NAMES:
        rival = peers.peer(name)
        try:
            rival.start()
        except UserError as error:
            complain(f"{name} left out: {error}")
        else:
            present["ioutrack" if name == "ioutrack-sort" else name] = lambda frames, rival=rival: _rival_s(
                frames, rival
            )
    return present


def _ours_s(frames: Frames, advance: Callable) -> float:
    state, took_s = deep_sort.initial_state(), 0.0
    gc.collect()
    for detections, embedding in frames:
        began = time.perf_counter()
        state, _ = advance(state, detections, embedding, 1.0, REFERENCE)
        took_s += time.perf_counter() - began
    return took_s


def _rival_s(frames: Frames, rival: peers.Peer) -> float:
    rival.start()
    took_s = 0.0
    gc.collect()
    for detections, embedding in frames:
        prepared = rival.prepare(detections, embedding)
        began = time.perf_counter()
        rival.advance(prepared)
        took_s += time.perf_counter() - began
    return took_s
