"""Every notebook runs from its first cell to its last, on a real lake."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_runs(path, kept_lake, tiny_town, monkeypatch):
    monkeypatch.setenv("NIGHTFLEET_LAKE", str(kept_lake))
    monkeypatch.setenv("NIGHTFLEET_TRUTH", str(tiny_town / "truth"))
    monkeypatch.setenv("NIGHTFLEET_FLEET", str(tiny_town / "fleet.yaml"))
    monkeypatch.setenv("NIGHTFLEET_BIN", "5s")
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(path.parent)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs), "it draws its picture"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_committed_without_outputs(path):
    cells = nbformat.read(path, as_version=4).cells
    assert all(not cell.outputs and cell.execution_count is None for cell in cells if cell.cell_type == "code")
