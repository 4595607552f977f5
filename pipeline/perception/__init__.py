"""Pixels in, boxes and appearance vectors out: detectors and embedders behind two small interfaces."""
