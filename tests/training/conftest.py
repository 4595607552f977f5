"""Data that several trainings are tested on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.labelled import write_sequence


@pytest.fixture
def folder(tmp_path) -> Path:
    """Two labelled sequences of three pictures."""
    for number in range(2):
        write_sequence(tmp_path / "data" / f"s{number}", seed=number, n_frames=3)
    return tmp_path / "data"
