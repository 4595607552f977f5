"""docs/detectors.md tells of every layout what the code does, and its examples are read as configuration."""

import re

import pytest
import yaml

from pipeline.config import DetectorConfig
from pipeline.perception.layouts.table import LAYOUTS
from pipeline.perception.preparation import IMAGENET_MEAN
from tests.realdata import ROOT

TEXT = (ROOT / "docs/detectors.md").read_text(encoding="utf-8")
ROWS = {row[1]: row[0] for row in re.finditer(r"^\| `([\w-]+)` \|.*$", TEXT, re.MULTILINE)}


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_table_says_how_each_layout_wants_its_pictures(layout):
    last = ROWS[layout.name].strip(" |").rpartition("|")[2].strip()
    how = layout.preparation
    grey = f" on grey {how.pad_level:g}" if how.pad_level != 114 else ""
    wanted = f"{how.fit}{grey}, {how.channels.upper()}, 0 to {how.range}"
    wanted += ", antialiased" if how.antialias else ""
    wanted += ", ImageNet's mean and std" if how.mean == IMAGENET_MEAN else ""
    assert last == wanted


@pytest.mark.parametrize("block", re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL))
def test_examples_are_read(block):
    DetectorConfig.model_validate(yaml.safe_load(block)["models"]["detector"])
