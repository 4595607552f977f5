"""Compiled loops over the pairs of two cameras: who matches whom, and how long the way takes, learned together."""

from __future__ import annotations

import numpy as np

from pipeline.identity.kernels.compiling import compiled


@compiled
def _marginals(a, b, weight, sum_a, sum_b, nu, rounds, out):
    """Write to out (P,) the probability of each pair where everybody has one partner or none; scratch: sums, nu."""
    for k in range(len(a)):
        nu[k] = 1.0
    for step in range(rounds + 1):
        for k in range(len(a)):
            sum_a[a[k]] = 0.0
            sum_b[b[k]] = 0.0
        for k in range(len(a)):
            sum_a[a[k]] += weight[k] * nu[k]
        if step == rounds:
            break
        for k in range(len(a)):
            out[k] = weight[k] / (1.0 + sum_a[a[k]] - weight[k] * nu[k])
            sum_b[b[k]] += out[k]
        for k in range(len(a)):
            nu[k] = 1.0 / (1.0 + sum_b[b[k]] - out[k])
    for k in range(len(a)):
        out[k] = weight[k] * nu[k] / (1.0 + sum_a[a[k]])


@compiled
def _deviation(weight, total):
    """Return a robust standard deviation of the ranks (k + 0.5) / P under weights (P,): by quartiles, 0 at least."""
    low, high, sum_weight = -1, -1, 0.0
    for k in range(len(weight)):
        sum_weight += weight[k]
        if low < 0 and sum_weight >= 0.25 * total:
            low = k
        if high < 0 and sum_weight >= 0.75 * total:
            high = k
    high = len(weight) - 1 if high < 0 else high
    return (high - low) / len(weight) / 1.349


@compiled
def _smooth(value, width):
    """Return value (B,) smoothed by a normal kernel of `width` bins; its total stays, at the ends too."""
    n_bins = len(value)
    reach = min(n_bins - 1, int(4 * width) + 1)
    out, bell = np.zeros(n_bins), np.empty(reach + 1)
    for step in range(reach + 1):
        bell[step] = np.exp(-0.5 * (step / width) ** 2)
    for at in range(n_bins):
        if value[at] == 0.0:
            continue
        total = 0.0
        first, last = max(0, at - reach), min(n_bins, at + reach + 1)
        for to in range(first, last):
            total += bell[abs(to - at)]
        for to in range(first, last):
            out[to] += value[at] * bell[abs(to - at)] / total
    return out


@compiled
def learn(
    first, a, b, look, n_partners, n_either, time_told, n_bins, rounds, sweeps, most, seed_matches, surprise,
    least_matches, sum_a, sum_b, log_time, rivalry, probability,
):  # fmt: skip
    """Learn of every way, pairs first[w] to first[w + 1] sorted by travel time, what its travel times tell.

    a, b (P,) tracklets; look (P,) log ratio by looks. Fills log_time, rivalry and probability (P,); see passing.learn.
    """
    for way in range(len(first) - 1):
        s, e = first[way], first[way + 1]
        n = e - s
        weight, nu = np.empty(n), np.empty(n)
        share = 0.5
        for k in range(s, e):
            log_time[k] = 0.0
        for sweep in range(sweeps):
            prior = share / (1.0 - share) / n_partners[way]
            for k in range(n):
                weight[k] = prior * np.exp(min(look[s + k] + log_time[s + k], 25.0))
            _marginals(a[s:e], b[s:e], weight, sum_a, sum_b, nu, rounds, probability[s:e])
            total, squares = 0.0, 0.0
            for k in range(s, e):
                total += probability[k]
                squares += probability[k] ** 2
            share = min(most, (total + 0.5) / (n_either[way] + 1.0))
            if sweep == sweeps - 1:
                for k in range(n):
                    p = min(max(probability[s + k], 1e-12), 1.0 - 1e-12)
                    rivalry[s + k] = min(0.0, np.log(p) - np.log1p(-p) - np.log(weight[k]))
            if not time_told or total < least_matches or sweep == sweeps - 1:
                continue
            bins = min(n_bins, n)
            matched, others = np.zeros(bins), np.zeros(bins)
            for k in range(n):
                at = k * bins // n
                matched[at] += probability[s + k]
                others[at] += 1.0 - probability[s + k]
            effective = max(2.0, total * total / squares)
            spread = _deviation(probability[s:e], total)
            width = max(1.5, 1.06 * spread * effective**-0.2 * bins)
            matched, others = _smooth(matched, width), _smooth(others, width)
            n_others = max(n - total, 1.0)
            for k in range(n):
                at = k * bins // n
                background = (others[at] + 1.0 / bins) / (n_others + 1.0)
                seen = (matched[at] + seed_matches * background) / (total + seed_matches)
                log_time[s + k] = np.log((1.0 - surprise) * seen / background + surprise)


@compiled
def count_partners(probe, camera, lowest, highest, possible, out):
    """Add to out[camera of probe, camera of r] (C, C) the possible partners r of a probe; possible (R,) uint8."""
    for r in range(lowest, highest):
        if possible[r - lowest]:
            out[probe, camera[r]] += 1
