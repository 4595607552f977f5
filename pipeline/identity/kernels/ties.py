"""A compiled loop over candidate pairs, millions of them, for the confidence of the tracklets they tie."""

from __future__ import annotations

from pipeline.identity.kernels.compiling import compiled


@compiled
def add_ties(label, pairs, probability, tie_sum, n_ties, best_refused):
    """Add the probability (P,) of every pair (P, 2) within a cluster to tie_sum of both its items, and count it.

    Of pairs between clusters the highest probability of each item is kept in best_refused. All three (N,) float64.
    """
    for row in range(len(pairs)):
        i, j = pairs[row, 0], pairs[row, 1]
        if label[i] == label[j]:
            tie_sum[i] += probability[row]
            tie_sum[j] += probability[row]
            n_ties[i] += 1
            n_ties[j] += 1
        else:
            best_refused[i] = max(best_refused[i], probability[row])
            best_refused[j] = max(best_refused[j], probability[row])
