"""What merged is parted by what was seen before; what lost its head gets it back."""

from __future__ import annotations

import numpy as np

from pipeline.perception.memory import COMPLETED_FRAMES, Memory

ADULT_PX = 60.0


def test_two_who_cross_are_two_all_the_time():
    memory, found = _memory(), []
    for frame in range(60):
        left, right = (
            np.array([20.0 + 2 * frame, 40, 42 + 2 * frame, 100]),
            np.array([158.0 - 2 * frame, 30, 180 - 2 * frame, 90]),
        )
        mask = _mask(left, right)
        memory.advance()
        if left[2] < right[0] or right[2] < left[0]:
            assert memory.in_blobs(np.array([left, right]).astype(int)) == ([[0], [1]] if frame >= 4 else [[], []])
            _learn(memory, [left, right])
            continue
        blob = np.concatenate([np.minimum(left, right)[:2], np.maximum(left, right)[2:]]).astype(int)
        (members,) = memory.in_blobs(blob[None])
        assert sorted(members) == [0, 1]
        assert not memory.agree(members, blob[None])
        laid = memory.laid_into(members, blob, mask)
        found.append(np.abs(laid[np.argsort(-laid[:, 3])] - np.array([left, right])).max())
        memory.learn(np.zeros((0, 4)), np.zeros(0, bool), members, np.zeros(0, bool))
    assert len(found) > 10
    assert max(found) < 8, "a third of a width"


def test_what_takes_turns_is_one():
    memory = _memory()
    whole, legs = np.array([50.0, 40, 72, 100]), np.array([50.0, 60, 72, 100])
    for frame in range(20):
        memory.advance()
        memory.in_blobs(whole[None].astype(int))
        _learn(memory, [whole if frame % 2 else legs])
    memory.advance()
    assert len(memory.in_blobs(whole[None].astype(int))[0]) == 1


def test_a_head_that_is_hidden_is_given_back_for_a_while():
    memory = _memory()
    whole, legs = np.array([50.0, 40, 72, 100]), np.array([50.0, 66, 72, 100])
    for _ in range(8):
        memory.advance()
        _learn(memory, [whole])
    given = []
    for _ in range(COMPLETED_FRAMES + 5):
        memory.advance()
        box = memory.completed(0, legs)
        given.append(box[1])
        memory.learn(box[None], np.array([True]), [], np.array([box[1] < 60]))
    np.testing.assert_allclose(given[:COMPLETED_FRAMES], 40, atol=1)
    assert given[COMPLETED_FRAMES] == 66


def test_nobody_is_laid_into_a_vehicle():
    memory = _memory()
    person, car = np.array([20.0, 40, 42, 100]), np.array([80.0, 50, 200, 110])
    for _ in range(8):
        memory.advance()
        memory.learn(np.array([person, car]), np.array([True, False]), [], np.zeros(2, bool))
    memory.advance()
    assert memory.in_blobs(np.array([[20, 40, 200, 110]])) == [[]]


def test_who_passes_before_a_car_is_taken_out_of_it():
    memory, person = _memory(), np.array([80.0, 60, 102, 120])
    for frame in range(8):
        memory.advance()
        _learn(memory, [person + 2 * frame * np.array([1, 0, 1, 0])])
    memory.advance()
    now, car = person + 16 * np.array([1, 0, 1, 0]), np.array([60.0, 40, 180, 95])
    mask = _mask(now, car)
    rest, people, who = memory.before(np.array([60, 40, 180, 120]), mask)
    np.testing.assert_allclose(rest, car, atol=1)
    np.testing.assert_allclose(people, now[None], atol=1)
    assert who == [0]
    inside = np.array([60, 40, 180, 140])
    rest, people, who = memory.before(inside, _mask(inside.astype(float)))
    assert (rest == inside).all(), "nobody's legs stand out below it"
    assert len(people) == len(who) == 0


def test_nothing_seen_is_nothing_known():
    memory = _memory()
    memory.advance()
    assert memory.in_blobs(np.zeros((0, 4), int)) == []
    memory.learn(np.zeros((0, 4)), np.zeros(0, bool), [], np.zeros(0, bool))


def _memory() -> Memory:
    return Memory(lambda box: ADULT_PX, 320, 240)


def _learn(memory: Memory, boxes: list[np.ndarray]) -> None:
    memory.learn(np.array(boxes), np.full(len(boxes), True), [], np.zeros(len(boxes), bool))


def _mask(*boxes: np.ndarray) -> np.ndarray:
    mask = np.zeros((240, 320), np.uint8)
    for x1, y1, x2, y2 in np.array(boxes).astype(int):
        mask[y1:y2, x1:x2] = 1
    return mask
