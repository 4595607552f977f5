"""Links proposed from a lake's identities."""

from __future__ import annotations

import pytest
import yaml

from jobs.identify import identify
from jobs.topology import learn_topology
from pipeline.config import IdentityConfig
from pipeline.errors import UserError
from pipeline.lake.writer import Lake
from tests.conftest import json_of, nightfleet
from tests.jobs.night_lakes import FIRST, SECOND, People, fleet, write_seen


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> str:
    """A night in which 30 people pass four cameras, 15 s between any two and the next."""
    url = str(tmp_path_factory.mktemp("topology") / "lake")
    made = Lake.open_or_create(url)
    write_seen(made, FIRST, People().crowd(FIRST, range(30)))
    identify(fleet(made), made, device="cpu")
    return url


def test_what_is_proposed_is_a_valid_part_of_a_fleet(lake, tmp_path):
    out = tmp_path / "links.yaml"
    printed = nightfleet("topology", "learn", lake, "--out", out)
    assert printed.returncode == 0 and printed.stdout == out.read_text()
    links = IdentityConfig.model_validate(yaml.safe_load(out.read_text())["identity"]).links
    between = {link.between: link for link in links}
    assert set(between) >= {("gate", "quay"), ("quay", "mall"), ("mall", "park")}
    assert between["gate", "quay"].min_travel_s <= 15 <= between["gate", "quay"].max_travel_s < 30
    assert between["gate", "quay"].one_way and not between["gate", "quay"].overlapping


def test_json_has_the_figures_behind_them(lake):
    found = json_of(nightfleet("topology", "learn", lake, "--night", FIRST, "--json"))
    first = next(link for link in found["links"] if link["between"] == ["gate", "quay"])
    assert first["matches"] >= 25 and first["forward"] == first["matches"]
    assert first["median_s"] == pytest.approx(15, abs=1)


def test_a_night_without_matches_is_said_to_have_none(lake):
    with pytest.raises(UserError, match=f"on {SECOND}, there are 0 in all"):
        learn_topology(lake, night=SECOND, out=None)
    refused = nightfleet("topology", "learn", lake, "--night", SECOND)
    assert refused.returncode == 2 and refused.stdout == ""


def test_a_night_that_is_no_date_is_refused(lake):
    refused = nightfleet("topology", "learn", lake, "--night", "yesterday")
    assert refused.returncode == 2 and "YYYY-MM-DD" in refused.stderr


def test_a_file_that_cannot_be_written_is_named(lake, tmp_path):
    refused = nightfleet("topology", "learn", lake, "--out", tmp_path / "nowhere" / "links.yaml")
    assert refused.returncode == 2 and "nowhere" in refused.stderr
