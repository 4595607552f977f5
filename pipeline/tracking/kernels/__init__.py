"""Compiled loops behind pipeline.tracking.compiled: one call does a frame of Deep SORT. Imports numba.

They say again, a number at a time, what kalman, gallery, association and deep_sort say in arrays, and do the same
arithmetic in the same order, so that both give the same bits; tests/tracking/test_compiled.py holds them together.
Nothing here raises, and nothing but a gallery's own buffer is written into.
"""
