"""The contact sheet: one file, nothing from elsewhere, usable by keyboard and at the width of a phone."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from pipeline.reports.contact_sheet import contact_sheet

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "headless_shell")
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def jpeg(colour=(200, 60, 20)) -> bytes:
    return cv2.imencode(".jpg", np.full((80, 40, 3), colour, np.uint8))[1].tobytes()


def hit(n: int, **changes) -> dict:
    plain = {
        "similarity": 0.9 - n / 100,
        "probability": 0.8,
        "tracklet_id": f"gate-20260301T120000.000Z-{n}",
        "camera_id": "gate",
        "class": "car",
        "started_at": START,
        "ended_at": START + timedelta(seconds=7.25),
        "started_local": "2026-03-01T13:00:00+01:00",
        "identity_id": f"id-{n:016x}",
        "date": "2026-03-01",
    }
    return {**plain, **changes}


def page(hits, *, thumbnails=None, kept=True, **changes) -> str:
    result = {"query": "gate-1", "picture": None, "hits": hits, "searched": 1234, "notes": [], **changes}
    return contact_sheet(
        result,
        query_pictures=[jpeg()],
        thumbnails=thumbnails or {},
        kept=kept,
        lake="lake",
        filters={"camera": "gate"},
        made_at=START,
    )


class Tags(HTMLParser):
    """Every tag with its attributes, and that all are closed."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found, self.open = [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_nothing_found():
    assert "Nothing found" in page([])


def test_every_hit_is_there_in_order_with_what_is_known_of_it():
    text = page([hit(n) for n in range(3)], thumbnails={hit(1)["tracklet_id"]: jpeg()})
    places = [text.index(f"tracklet <code>{hit(n)['tracklet_id']}") for n in range(3)]
    assert places == sorted(places)
    for told in (
        "13:00:00",
        "UTC+01:00",
        "Sun 01 Mar 2026",
        "7.2\xa0s",
        "0.89",
        "80 %",
        "car",
        "gate",
        "1,234 compared",
    ):
        assert told in text, told
    assert text.count("no picture kept") == 2 and text.count('<div class="frame">\n<img') == 1


def test_nothing_is_fetched_from_elsewhere_and_nothing_runs():
    text = page([hit(0)], thumbnails={hit(0)["tracklet_id"]: jpeg()})
    tags = Tags(text).found
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in tags}
    assert all(attrs["src"].startswith("data:image/jpeg;base64,") for tag, attrs in tags if tag == "img")
    assert "http" not in text and "url(" not in text and not re.search(r"\son\w+=", text)


def test_pictures_have_words_and_everything_is_in_reach_of_a_keyboard():
    tags = Tags(page([hit(0)], thumbnails={hit(0)["tracklet_id"]: jpeg()})).found
    assert all(attrs.get("alt") for tag, attrs in tags if tag == "img")
    assert [attrs["href"] for tag, attrs in tags if tag == "a"] == ["#hits"]
    assert dict(next(attrs for tag, attrs in tags if tag == "html"))["lang"] == "en"
    assert any(tag == "summary" for tag, _ in tags) and any(attrs.get("name") == "viewport" for _, attrs in tags)


def test_names_cannot_smuggle_in_markup():
    text = page([hit(0, camera_id="<script>alert(1)</script>")], query='"><img src=x onerror=alert(1)>')
    assert "<script>" not in text and "<img src=x" not in text
    Tags(text)


def test_says_where_pictures_and_probabilities_are_missing():
    text = page([hit(0, probability=None, identity_id=None)], kept=False, notes=["approximate: on a sample 98.5%"])
    assert "thumbnails were not kept" in text and "keep_thumbnails: true" in text
    assert "unknown" in text and "none yet" in text and "approximate: on a sample" in text


def test_on_a_phone_what_was_looked_for_leaves_room_for_the_hits():
    narrow = page([hit(0)]).partition("@media (max-width: 30rem)")[2].partition("@media print")[0]
    assert ".asked img { height: 4.5rem; max-width: calc((100% - 1rem) / 3);" in narrow


@pytest.mark.parametrize(("probability", "said"), [(0.0, "under 1 %"), (0.5, "50 %"), (1.0, "over 99 %")])
def test_no_probability_reads_as_certainty(probability, said):
    assert said in page([hit(0, probability=probability)])


@pytest.mark.parametrize("width_px", [1200, 390])
def test_a_browser_shows_it_without_running_over(tmp_path, width_px):
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        pytest.skip(f"no browser on this machine: none of {', '.join(BROWSERS)}")
    hits = [hit(n, camera_id="a-camera-of-a-very-long-name-" * 2) for n in range(5)]
    colour = (20, 60, 250)
    path = tmp_path / "sheet.html"
    path.write_text(page(hits, thumbnails={one["tracklet_id"]: jpeg(colour) for one in hits}), encoding="utf-8")
    shot = tmp_path / "shot.png"
    subprocess.run(
        [
            browser,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--window-size={max(width_px, 500)},1600",
            f"--screenshot={shot}",
            _in_a_frame(path, width_px),
        ],
        capture_output=True,
        timeout=120,
        check=True,
    )
    picture = cv2.imread(str(shot)).astype(int)
    inside, outside = picture[:, :width_px], picture[:, width_px:]
    assert (np.abs(inside - colour).sum(axis=2) < 60).sum() > 5 * 40 * 80, "the thumbnails are shown"
    if width_px < 500:  # Chromium's window is never narrower: what is beside the frame must stay as it was
        assert (outside == 255).all(), "nothing runs over the edge of a phone"


def _in_a_frame(path, width_px: int) -> str:
    if width_px >= 500:
        return path.as_uri()
    outer = path.with_name("outer.html")
    outer.write_text(
        '<body style="margin:0;background:#fff">'
        f'<iframe src="{path.name}" style="border:0;width:{width_px}px;height:1600px">'
    )
    return outer.as_uri()
