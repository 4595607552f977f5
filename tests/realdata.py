"""Where tests find real footage, truth and weights."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def data_path(relative: str) -> Path:
    """Return a file of the real test data, or skip the test with the reason."""
    folder = Path(os.environ.get("NIGHTFLEET_TEST_DATA", ROOT.parent / "shared" / "data"))
    path = folder / relative
    if not path.exists():
        pytest.skip(f"real test data absent: {path} (set NIGHTFLEET_TEST_DATA)")
    return path
