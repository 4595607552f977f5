"""The assignment problem, compiled: shortest augmenting paths, and the split of a sparse problem into blocks."""

from __future__ import annotations

import numpy as np
from numba import njit

from pipeline.tracking.kernels.sorting import sort


@njit
def none(size):
    """Return (size,) int64 of -1."""
    values = np.empty(size, np.int64)
    for place in range(size):
        values[place] = -1
    return values


@njit
def solve(cost):
    """Match all rows of `cost` (R, C), or all columns if they are fewer, at least total. Returns (R,) columns, or -1.

    Crouse, On implementing 2D rectangular assignment algorithms, 2016: rows are added one by one, each by a shortest
    augmenting path (Dijkstra over columns with the dual values as potentials). Ties are broken as scipy's
    linear_sum_assignment breaks them, which has the same source: columns are looked at from the last to the first, and
    a free column is preferred to a taken one at the same distance. Costs are finite. O(min(R, C)^2 max(R, C)).
    """
    n_rows, n_columns = cost.shape
    if n_rows <= n_columns:
        return _solve_wide(cost)
    turned, column_of = np.empty((n_columns, n_rows)), none(n_rows)
    for row in range(n_rows):
        for column in range(n_columns):
            turned[column, row] = cost[row, column]
    row_of = _solve_wide(turned)
    for column in range(n_columns):
        column_of[row_of[column]] = column
    return column_of


@njit
def _solve_wide(cost):
    """Match every row of `cost` (R, C), R <= C. Returns (R,) columns."""
    n_rows, n_columns = cost.shape
    row_price, column_price = np.zeros(n_rows), np.zeros(n_columns)
    column_of, row_of = none(n_rows), none(n_columns)
    distance, before = np.empty(n_columns), np.empty(n_columns, np.int64)
    open_column = np.empty(n_columns, np.int64)
    for start in range(n_rows):
        for place in range(n_columns):
            open_column[place] = n_columns - 1 - place
            distance[place] = np.inf
        n_open, reached, row, free = n_columns, 0.0, start, -1
        while free < 0:
            nearest, nearest_place = np.inf, 0
            for place in range(n_open):
                column = open_column[place]
                through = reached + cost[row, column] - row_price[row] - column_price[column]
                if through < distance[column]:
                    distance[column] = through
                    before[column] = row
                if distance[column] < nearest or (distance[column] == nearest and row_of[column] < 0):
                    nearest, nearest_place = distance[column], place
            reached = nearest
            column = open_column[nearest_place]
            n_open -= 1
            open_column[nearest_place] = open_column[n_open]
            open_column[n_open] = column  # behind n_open lie the columns that the path search has settled
            if row_of[column] < 0:
                free = column
            else:
                row = row_of[column]
        row_price[start] += reached
        for place in range(n_open, n_columns):
            column = open_column[place]
            if row_of[column] >= 0:
                row_price[row_of[column]] += reached - distance[column]
            column_price[column] -= reached - distance[column]
        column = free
        while True:
            row = before[column]
            row_of[column] = row
            column_of[row], column = column, column_of[row]
            if row == start:
                break
    return column_of


@njit
def match(first, column, cost, n_columns, max_cost, beyond):
    """Match rows and columns of a sparse cost one to one at least total; pairs that are not given are not admissible.

    first (R + 1,) int64: row r's pairs are [first[r], first[r + 1]) of column (E,) int64, ascending, and cost (E,),
    none above `max_cost`. A pair that is not admissible counts as max_cost + beyond, so none is taken where an
    admissible one could be. What no chain of admissible pairs connects cannot matter to each other: each such block is
    solved by itself. Returns (R,) columns, or -1.
    """
    n_rows = len(first) - 1
    column_of = none(n_rows)
    by_column, row_by_column = _turned(first, column, n_columns)
    row_seen, column_seen = np.zeros(n_rows, np.bool_), np.zeros(n_columns, np.bool_)
    rows, columns = np.empty(n_rows, np.int64), np.empty(n_columns, np.int64)
    place_of, unused = np.empty(n_columns, np.int64), np.empty(max(n_rows, n_columns))
    for start in range(n_rows):
        if row_seen[start] or first[start] == first[start + 1]:
            continue
        row_seen[start] = True
        rows[0], n_block_rows, n_block_columns, done = start, 1, 0, 0
        while done < n_block_rows:
            row = rows[done]
            done += 1
            for pair in range(first[row], first[row + 1]):
                there = column[pair]
                if not column_seen[there]:
                    column_seen[there] = True
                    columns[n_block_columns] = there
                    n_block_columns += 1
                    for back in range(by_column[there], by_column[there + 1]):
                        other = row_by_column[back]
                        if not row_seen[other]:
                            row_seen[other] = True
                            rows[n_block_rows] = other
                            n_block_rows += 1
        if n_block_rows == 1 and n_block_columns == 1:
            column_of[start] = columns[0]
            continue
        sort(rows, unused, 0, n_block_rows)
        sort(columns, unused, 0, n_block_columns)
        for place in range(n_block_columns):
            place_of[columns[place]] = place
        block = np.empty((n_block_rows, n_block_columns))
        for place in range(n_block_rows):
            for there in range(n_block_columns):
                block[place, there] = max_cost + beyond
            for pair in range(first[rows[place]], first[rows[place] + 1]):
                block[place, place_of[column[pair]]] = cost[pair]
        solved = solve(block)
        for place in range(n_block_rows):
            if solved[place] >= 0 and block[place, solved[place]] <= max_cost:
                column_of[rows[place]] = columns[solved[place]]
    return column_of


@njit
def _turned(first, column, n_columns):
    """Turn rows' lists of columns into columns' lists of rows: (C + 1,) and (E,), as `first` and `column`."""
    by_column = np.zeros(n_columns + 1, np.int64)
    for pair in range(first[-1]):
        by_column[column[pair] + 1] += 1
    for there in range(n_columns):
        by_column[there + 1] += by_column[there]
    row_by_column, filled = np.empty(first[-1], np.int64), np.empty(n_columns, np.int64)
    for there in range(n_columns):
        filled[there] = by_column[there]
    for row in range(len(first) - 1):
        for pair in range(first[row], first[row + 1]):
            row_by_column[filled[column[pair]]] = row
            filled[column[pair]] += 1
    return by_column, row_by_column
