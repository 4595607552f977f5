"""Compiled loops over exemplar sets: gathering them free of their camera's tint, and comparing set with set."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from pipeline.identity.kernels.compiling import compiled

DIM = 128
"""Length of an embedding (types.EMBEDDING_DIM): the number of steps of `_products`."""

LANES = 8
"""Vectors on each side of a block of products: eight floats fill one register of every x86-64 since 2013."""

FLOAT_BYTES = 4

TINY = 1e-6
"""A vector that the tint explains wholly has nothing of its own left: it is kept as it was, not turned into noise."""


@intrinsic
def _products(typing_context, left, right, out):
    """out[r, k] = sum over d of left[d, k] * right[r, d], for left (DIM, 8), right (8, DIM), out (8, 8), all float32.

    The sums run over d from 0 on, one by one, in eight registers of eight lanes. It is written in LLVM's terms because
    numba's loops keep sums in memory, which takes five times as long; LLVM lowers it to whatever a processor has.
    """
    signature = types.void(left, right, out)

    def generate(context, builder, signature, arguments):
        at = [context.make_array(kind)(context, builder, one).data for kind, one in zip(signature.args, arguments)]
        index, lanes = ir.IntType(64), ir.VectorType(ir.FloatType(), LANES)
        everywhere = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        blank = ir.Constant(lanes, ir.Undefined)
        before = builder.block
        loop, after = (builder.append_basic_block(name) for name in ("products", "stored"))
        builder.branch(loop)
        builder.position_at_end(loop)
        step = builder.phi(index)
        sums = [builder.phi(lanes) for _ in range(LANES)]
        column = builder.bitcast(builder.gep(at[0], [builder.mul(step, index(LANES))]), lanes.as_pointer())
        own = builder.load(column)
        own.align = FLOAT_BYTES
        grown = []
        for row in range(LANES):
            other = builder.load(builder.gep(at[1], [builder.add(step, index(row * DIM))]))
            spread = builder.insert_element(blank, other, ir.IntType(32)(0))
            spread = builder.shuffle_vector(spread, blank, everywhere)
            grown.append(builder.fadd(sums[row], builder.fmul(own, spread)))
        following = builder.add(step, index(1))
        for phi, start, then in zip([step, *sums], [index(0), *[lanes([0.0] * LANES)] * LANES], [following, *grown]):
            phi.add_incoming(start, before)
            phi.add_incoming(then, loop)
        builder.cbranch(builder.icmp_unsigned("<", following, index(DIM)), loop, after)
        builder.position_at_end(after)
        for row in range(LANES):
            place = builder.bitcast(builder.gep(at[2], [index(row * LANES)]), lanes.as_pointer())
            builder.store(grown[row], place).align = FLOAT_BYTES
        return context.get_dummy_value()

    return signature, generate


@compiled
def _read(vector, row, scale, tint, into, at):
    """Write vector[row], free of `tint` (D,) and of unit length again, to into[at]."""
    factor = scale[row]
    if factor == 0.0:
        for d in range(vector.shape[1]):
            into[at, d] = vector[row, d]
    else:
        for d in range(vector.shape[1]):
            into[at, d] = (vector[row, d] - tint[d]) * factor


@compiled
def scales(vector, start, size, camera, tint, scale):
    """Set scale[row] to 1 / |vector[row] - tint| for the rows of all sets; to 0 where nothing of it would be left."""
    for n in range(len(start)):
        for row in range(start[n], start[n] + size[n]):
            length_sq, whole_sq = 0.0, 0.0
            for d in range(vector.shape[1]):
                rest = np.float64(vector[row, d] - tint[camera[n], d])
                length_sq += rest * rest
                whole_sq += np.float64(vector[row, d]) * np.float64(vector[row, d])
            length = np.sqrt(length_sq)
            told = length > TINY and whole_sq > TINY * TINY  # a look of zeros is unknown, and stays so
            scale[row] = np.float32(1.0 / length) if told else np.float32(0.0)


@compiled
def gather(vector, start, size, camera, tint, scale, index, out):
    """Write the sets at `index`, one after another, to out (R, D)."""
    at = 0
    for n in index:
        own = tint[camera[n]]
        for row in range(start[n], start[n] + size[n]):
            _read(vector, row, scale, own, out, at)
            at += 1


@compiled
def sums_by_camera(vector, start, size, camera, total, squares):
    """Add the mean of every set to total[camera] (C, D) float64, and its squared length to squares[camera] (C,)."""
    mean = np.empty(vector.shape[1])
    for n in range(len(start)):
        mean[:] = 0.0
        for row in range(start[n], start[n] + size[n]):
            for d in range(vector.shape[1]):
                mean[d] += vector[row, d]
        for d in range(vector.shape[1]):
            own = mean[d] / size[n]
            total[camera[n], d] += own
            squares[camera[n]] += own * own


@compiled
def compare(vector, start, size, camera, tint, scale, i, j, out):
    """Write the average Hausdorff similarity of sets i[p] and j[p] to out (P,) float32. Equal i side by side is faster.

    Sums run over rows in their order and over both sides alike, so that (i, j) and (j, i) give the same bits.
    """
    last, n_left = np.int64(-1), np.int64(0)
    left = np.zeros((1, DIM, LANES), np.float32)  # block, step, lane
    right, alike = np.zeros((LANES, DIM), np.float32), np.zeros((LANES, LANES), np.float32)
    best_left = np.zeros(LANES, np.float32)
    own = np.empty((1, DIM), np.float32)
    for pair in range(len(i)):
        if i[pair] != last:
            last, n_left = i[pair], size[i[pair]]
            n_blocks = (n_left + LANES - 1) // LANES
            if n_blocks > len(left):
                left = np.zeros((n_blocks, DIM, LANES), np.float32)
                best_left = np.zeros(n_blocks * LANES, np.float32)
            for k in range(n_left):
                _read(vector, start[last] + k, scale, tint[camera[last]], own, 0)
                for d in range(DIM):
                    left[k // LANES, d, k % LANES] = own[0, d]
        n_right, first = size[j[pair]], start[j[pair]]
        other = tint[camera[j[pair]]]
        best_left[:n_left] = -2.0  # below any cosine
        from_right = np.float64(0.0)
        for above in range(0, n_right, LANES):
            n_rows = min(LANES, n_right - above)
            for row in range(n_rows):
                _read(vector, first + above + row, scale, other, right, row)
            best_right = np.full(LANES, -2.0, np.float32)
            for block in range((n_left + LANES - 1) // LANES):
                _products(left[block], right, alike)
                n_columns = min(LANES, n_left - block * LANES)
                for row in range(n_rows):
                    for k in range(n_columns):
                        value = alike[row, k]
                        best_right[row] = max(best_right[row], value)
                        best_left[block * LANES + k] = max(best_left[block * LANES + k], value)
            for row in range(n_rows):
                from_right += best_right[row]
        from_left = np.float64(0.0)
        for k in range(n_left):
            from_left += best_left[k]
        value = (from_left / n_left + from_right / n_right) / 2.0
        out[pair] = np.float32(min(1.0, max(-1.0, value)))
