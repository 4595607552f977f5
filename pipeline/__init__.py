"""nightfleet: footage of a camera fleet in, tables you can ask questions of out."""

__version__ = "0.1.0"
