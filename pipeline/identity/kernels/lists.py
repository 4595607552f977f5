"""Compiled loops over lists of neighbours: scoring them anew in one fixed order, and choosing those that may be."""

from __future__ import annotations

import numpy as np

from pipeline.identity.kernels.compiling import compiled


@compiled
def _product(query, reference):
    """Return the inner product of two vectors (D,), summed in double precision in one fixed order, rounded once."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    whole = len(query) // 4 * 4
    for at in range(0, whole, 4):
        a += np.float64(query[at]) * np.float64(reference[at])
        b += np.float64(query[at + 1]) * np.float64(reference[at + 1])
        c += np.float64(query[at + 2]) * np.float64(reference[at + 2])
        d += np.float64(query[at + 3]) * np.float64(reference[at + 3])
    for at in range(whole, len(query)):
        a += np.float64(query[at]) * np.float64(reference[at])
    return np.float32((a + b) + (c + d))


@compiled
def products(query, reference, listed, out):
    """Write the inner product of query[q] and reference[listed[q, n]] to out (Q, K) float32; -inf where that is -1."""
    for q in range(len(query)):
        for n in range(listed.shape[1]):
            row = listed[q, n]
            out[q, n] = _product(query[q], reference[row]) if row >= 0 else -np.inf


@compiled
def _on_time(travel, a, b, overlapping, min_travel, max_travel):
    """Tell whether a travel time is inside the window from a to b."""
    # As in Topology: a common instant in overlapping views is not travel, where the least time speaks of the way round.
    meeting = overlapping[a, b] and min_travel[a, b] >= 0 and travel <= 0
    return (travel >= min_travel[a, b] or meeting) and travel <= max_travel[a, b]


@compiled
def possible(
    camera, started, ended, other_camera, other_started, other_ended, linked, overlapping, one_way, min_travel,
    max_travel, out,
):  # fmt: skip
    """Set out[p, r] to 1 where Topology.relate calls tracklets p and r POSSIBLE, else to 0. (P, R) uint8."""
    for p in range(len(camera)):
        for r in range(len(other_camera)):
            a, b = camera[p], other_camera[r]
            out[p, r] = 0
            together = max(started[p], other_started[r]) <= min(ended[p], other_ended[r])
            if not linked[a, b] or (together and not overlapping[a, b]):
                continue
            there, back = other_started[r] - ended[p], started[p] - other_ended[r]
            if one_way[a, b]:
                out[p, r] = min_travel[a, b] <= there and there <= max_travel[a, b]
            elif one_way[b, a]:
                out[p, r] = min_travel[b, a] <= back and back <= max_travel[b, a]
            else:
                if started[p] <= other_started[r] and _on_time(there, a, b, overlapping, min_travel, max_travel):
                    out[p, r] = 1
                if other_started[r] <= started[p] and _on_time(back, b, a, overlapping, min_travel, max_travel):
                    out[p, r] = 1


@compiled
def choose(
    query, probe_of, reference, reference_of, allowed, n_allowed, similarity, listed, neighbours, rounding, whole,
    found, enough,
):  # fmt: skip
    """Mark in found[p, r] (P, R) uint8 the references among the `neighbours` most similar that are allowed.

    query (Q, D) are exemplars of the probes probe_of (Q,); reference (N, D) of the references reference_of (N,), both
    counted from 0 in order. allowed (P, R) uint8; n_allowed (P,) counts the exemplars that are allowed for each probe.
    listed (Q, K) are rows of `reference`, -1 at the end where there are no more, by similarity (Q, K), known to within
    `rounding`; whole tells that no list could be longer. Similarities closer than they are known are computed anew,
    ties go to the lower row. enough[q] is set to whether the list reached far enough; else nothing is marked.
    """
    n_listed = listed.shape[1]
    for q in range(len(query)):
        probe = probe_of[q]
        n_wanted = min(neighbours, n_allowed[probe])
        n_found, kth = 0, np.float32(0.0)
        n_real = n_listed
        for n in range(n_listed):
            if listed[q, n] < 0:
                n_real = n
                break
            if allowed[probe, reference_of[listed[q, n]]] and n_found < n_wanted:
                n_found += 1
                kth = similarity[q, n]
        exhausted = whole or n_real < n_listed
        if n_found < n_wanted:
            enough[q] = exhausted
        else:
            enough[q] = exhausted or n_wanted == 0 or similarity[q, n_listed - 1] < kth - 2 * rounding
        if not enough[q] or n_found == 0:
            continue
        # Sure are those clearly above the last one wanted; those about as similar have to be looked at closely.
        n_sure, n_near = 0, 0
        for n in range(n_real):
            if similarity[q, n] < kth - 2 * rounding:
                break
            target = reference_of[listed[q, n]]
            if allowed[probe, target]:
                if similarity[q, n] > kth + 2 * rounding:
                    found[probe, target] = 1
                    n_sure += 1
                else:
                    n_near += 1
        if n_sure + n_near <= n_wanted:
            for n in range(n_real):
                if similarity[q, n] < kth - 2 * rounding:
                    break
                if allowed[probe, reference_of[listed[q, n]]]:
                    found[probe, reference_of[listed[q, n]]] = 1
            continue
        near_row, near_value = np.empty(n_near, np.int64), np.empty(n_near, np.float32)
        at = 0
        for n in range(n_real):
            if similarity[q, n] < kth - 2 * rounding:
                break
            row = listed[q, n]
            if allowed[probe, reference_of[row]] and similarity[q, n] <= kth + 2 * rounding:
                near_row[at], near_value[at] = row, _product(query[q], reference[row])
                at += 1
        wanted, n_best = n_wanted - n_sure, 0
        best_row, best_value = np.empty(wanted, np.int64), np.empty(wanted, np.float32)
        for n in range(n_near):
            place = n_best
            while place > 0 and (
                near_value[n] > best_value[place - 1]
                or (near_value[n] == best_value[place - 1] and near_row[n] < best_row[place - 1])
            ):
                place -= 1
            if place == wanted:
                continue
            n_best = min(n_best + 1, wanted)
            for at in range(n_best - 1, place, -1):
                best_row[at], best_value[at] = best_row[at - 1], best_value[at - 1]
            best_row[place], best_value[place] = near_row[n], near_value[n]
        for n in range(n_best):
            found[probe, reference_of[best_row[n]]] = 1
