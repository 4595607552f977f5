"""Footage: files of a camera on the clock, and the frames in them."""
