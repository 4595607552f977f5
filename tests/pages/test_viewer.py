"""The viewer page in a real browser: it plays, what it draws is where it was seen, and it can be found by keyboard."""

from __future__ import annotations

import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest

from jobs.view import seen_in
from pipeline.lake import catalog
from pipeline.reports import camera_span
from pipeline.reports.scene import colour_of
from pipeline.reports.viewer import Part, viewer_data, viewer_page
from tests.conftest import json_of, nightfleet
from tests.footage.clips import BLOCK_PX, COLUMNS
from tests.pages import filmed
from tests.pages.browser import PHONE, opened, scrolls_sideways

SECOND = 10_000
"""Ticks of the page."""


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    return filmed.make(tmp_path_factory.mktemp("filmed"))


@pytest.fixture(scope="module")
def pages(lake, tmp_path_factory):
    out = tmp_path_factory.mktemp("pages")
    done = nightfleet("view", lake, "--camera", "gate,yard", "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    assert [len(page["videos"]) for page in json_of(done)["pages"]] == [2, 1]
    return out


def shows(page, ticks: float) -> None:
    """Wait until the frame of a time is on the screen."""
    page.locator(f'body[data-shown="{round(ticks)}"]').wait_for(state="attached")


def frame_number(page) -> int:
    """Read the number that the video's picture carries, through whatever is drawn over it."""
    shot = cv2.imdecode(np.frombuffer(page.locator("#stage").screenshot(), np.uint8), cv2.IMREAD_GRAYSCALE)
    small = cv2.resize(shot, (COLUMNS * BLOCK_PX, 3 * BLOCK_PX), interpolation=cv2.INTER_AREA)
    blocks = small[: 2 * BLOCK_PX].reshape(2, BLOCK_PX, COLUMNS, BLOCK_PX)[:, 8:-8, :, 8:-8].mean(axis=(1, 3)).ravel()
    return int(((blocks > 128).astype(int) << np.arange(2 * COLUMNS)).sum())


def drawn_box(page, colour: tuple[int, int, int]) -> list[float] | None:
    """Return the hull of what the canvas shows in a box's colour, in pixels of the footage; None where nothing is."""
    found = page.evaluate(
        """([r, g, b, width, height]) => {
        const canvas = document.getElementById("over"), pen = canvas.getContext("2d");
        const pixels = pen.getImageData(0, 0, canvas.width, canvas.height).data;
        let [x1, y1, x2, y2] = [1e9, 1e9, -1, -1];
        for (let i = 0; i < pixels.length; i += 4) {
            if (pixels[i] !== r || pixels[i + 1] !== g || pixels[i + 2] !== b || pixels[i + 3] !== 255) continue;
            const x = (i / 4) % canvas.width, y = Math.floor(i / 4 / canvas.width);
            [x1, y1, x2, y2] = [Math.min(x1, x), Math.min(y1, y), Math.max(x2, x + 1), Math.max(y2, y + 1)];
        }
        const [sx, sy] = [width / canvas.width, height / canvas.height];
        return x2 < 0 ? null : [x1 * sx, y1 * sy, x2 * sx, y2 * sy];
        }""",
        [*colour, filmed.WIDTH_PX, filmed.HEIGHT_PX],
    )
    return found


def only(page, *shown: str) -> None:
    """Draw only these, of boxes, ids, trails, lines and zones."""
    page.locator("#tab-filter").click()
    for name in ("boxes", "ids", "trails", "lines", "zones"):
        page.locator(f'#shows input[value="{name}"]').set_checked(name in shown)


def test_it_plays_two_files_as_one_time_and_says_what_it_skipped(browser, pages):
    with opened(browser, pages / "gate.html") as page:
        shows(page, 0)
        page.locator("#rate").select_option("4")
        page.locator("body").press("Space")
        last = filmed.LATER_S * SECOND + filmed.LATER_MS[-1] * 10
        shows(page, last)
        page.get_by_role("button", name="Play", exact=True).wait_for()
        assert "2.0 s" in page.locator("#status").text_content()
        assert frame_number(page) == 100 + len(filmed.LATER_MS) - 1
        assert page.locator("#time").get_attribute("datetime") == "2026-03-01T12:00:05.400Z"
        assert page.locator("#time").text_content() == "13:00:05.4"  # Berlin in winter


def test_keys_go_to_just_that_frame(browser, pages):
    later = filmed.LATER_S * SECOND
    steps = [
        ("ArrowRight", 0.1 * SECOND, 1),
        ("Shift+ArrowRight", 1.1 * SECOND, 11),
        ("ArrowLeft", 1.0 * SECOND, 10),
        ("n", 1.8 * SECOND, 18),
        ("l", later + filmed.LATER_MS[-1] * 10, 109),
        ("Home", 0, 0),
        ("n", 1.8 * SECOND, 18),
        ("End", later + filmed.LATER_MS[-1] * 10, 109),
        *(("ArrowLeft", later + ms * 10, 100 + k) for k, ms in list(enumerate(filmed.LATER_MS))[-2::-1]),
        ("ArrowLeft", 2.9 * SECOND, 29),
        ("ArrowRight", later, 100),
        ("p", 1.8 * SECOND, 18),
        ("j", 0, 0),
    ]
    with opened(browser, pages / "gate.html") as page:
        shows(page, 0)
        for key, ticks, number in steps:
            page.locator("body").press(key)
            shows(page, ticks)
            assert frame_number(page) == number, f"after {key} to {ticks}"


def test_boxes_counts_and_zones_are_what_was_seen(browser, pages):
    colour = colour_of(filmed.IDENTITY)
    with opened(browser, pages / "gate.html", fragment="at=2026-03-01T12:00:01.200Z") as page:
        shows(page, 1.2 * SECOND)
        only(page, "boxes")
        x, y = filmed.walker(12)
        assert drawn_box(page, colour) == pytest.approx([x - 10, y - 40, x + 10, y], abs=1.0)
        assert page.locator("#tally").inner_text().split() == "gap out 0 in 0 bay inside 0".split()
        page.locator("body").press("n")
        shows(page, 1.8 * SECOND)
        assert page.locator("#tally").inner_text().split() == "gap out 0 in 1 bay inside 0".split()
        page.locator("body").press("End")
        shows(page, 5.4 * SECOND)
        assert drawn_box(page, colour) is None
        assert drawn_box(page, colour_of(filmed.VAN)) == pytest.approx([290, 148, 310, 188], abs=1.0)
        assert page.locator("#tally").inner_text().split() == "gap out 0 in 1 bay inside 1".split()


def test_a_click_tells_of_a_track_and_leads_to_the_other_camera(browser, pages):
    with opened(browser, pages / "gate.html", fragment="at=2026-03-01T12:00:01.200Z") as page:
        shows(page, 1.2 * SECOND)
        box = page.locator("#over").bounding_box()
        x, y = filmed.walker(12)
        scale = box["width"] / filmed.WIDTH_PX
        page.mouse.click(box["x"] + x * scale, box["y"] + (y - 20) * scale)
        told = page.locator("#track").inner_text()
        for fact in (filmed.WALKER, filmed.IDENTITY, "person", "13:00:00.0", "0.90", "gap, in", "Seen 2 times"):
            assert fact in told
        assert "1.1 s after the last" in told  # it left at 2.9 s and came to the yard at 4 s
        page.get_by_role("link", name="yard").click()
        shows(page, 0)
        assert page.locator("h1").text_content() == "yard"
        assert filmed.WALKER_AGAIN in page.locator("#track").inner_text()
        assert frame_number(page) == 200


def test_tracks_are_chosen_by_keyboard(browser, pages):
    with opened(browser, pages / "gate.html") as page:
        shows(page, 0)
        page.locator("body").press("t")
        assert filmed.WALKER in page.locator("#track").inner_text()
        page.locator("body").press("Escape")
        assert filmed.WALKER not in page.locator("#track").inner_text()
        page.locator("#visible button").focus()
        page.keyboard.press("Enter")
        assert page.locator("#visible button").get_attribute("aria-pressed") == "true"
        page.keyboard.press("?")
        assert page.locator("#keys").is_visible()
        page.keyboard.press("Escape")
        assert not page.locator("#keys").is_visible()


def test_a_filter_hides_tracks_and_their_crossings(browser, pages):
    colour = colour_of(filmed.IDENTITY)
    with opened(browser, pages / "gate.html", fragment="at=2026-03-01T12:00:02Z") as page:
        shows(page, 2 * SECOND)
        only(page, "boxes")
        assert drawn_box(page, colour) is not None
        page.get_by_label("person").uncheck()
        assert drawn_box(page, colour) is None
        assert page.locator("#matching").text_content() == "1 of 2 tracks"
        assert "in 0" in page.locator("#tally").inner_text()
        page.get_by_label("person").check()
        page.locator("#identity").fill("id-5ca1")
        assert page.locator("#matching").text_content() == "1 of 2 tracks"
        assert drawn_box(page, colour) is not None
        page.locator("#identity").fill("nobody")
        assert drawn_box(page, colour) is None
        page.locator("#clear").click()
        page.locator("#from-here").click()
        page.locator("#tab-crossings").click()
        assert page.locator("#crossed").text_content() == "Nothing crossed a line here."


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_shows_all_of_it(browser, pages, dark):
    with opened(browser, pages / "gate.html", size=PHONE, touch=True, dark=dark) as page:
        shows(page, 0)
        for name in ("track", "crossings", "filter"):
            page.locator(f"#tab-{name}").tap()
            assert not scrolls_sideways(page)
        page.locator("#next").tap()
        shows(page, 1.8 * SECOND)
        assert frame_number(page) == 18


def test_footage_that_is_gone_leaves_the_rest(browser, lake, tmp_path):
    gone = shutil.copytree(lake.parent, tmp_path / "gone")
    (lake.parent / "footage" / "first.mp4").rename(tmp_path / "first.mp4")
    try:
        done = nightfleet("view", gone / "lake", "--camera", "gate", "--out", tmp_path / "out", "--json")
    finally:
        (tmp_path / "first.mp4").rename(lake.parent / "footage" / "first.mp4")
    (page_written,) = json_of(done)["pages"]
    assert done.returncode == 3
    assert [sentence.partition(": ")[2] for sentence in page_written["missing"]] == [
        "the footage is no longer there; put it back at that place"
    ]
    with opened(browser, tmp_path / "out" / "gate.html") as page:
        shows(page, 0)
        assert "no longer there" in page.locator("#note").text_content()
        only(page, "boxes")
        page.locator("body").press("n")
        shows(page, 1.8 * SECOND)
        x, y = filmed.walker(18)
        assert drawn_box(page, colour_of(filmed.IDENTITY)) == pytest.approx([x - 10, y - 40, x + 10, y], abs=1.0)
        page.locator("#play").click()  # its time goes by, and the next file follows
        shows(page, filmed.LATER_S * SECOND + filmed.LATER_MS[-1] * 10)
        assert frame_number(page) == 109


def test_names_do_no_harm(browser, tmp_path):
    evil = "</script><img src=x onerror=alert(1)><script>throw 1</script>"
    lake = filmed.make(tmp_path, forward=evil)
    with catalog.connect(str(lake)) as connection:
        span = camera_span.choose(connection, "gate", (0, 2**62))
        seen = seen_in(connection, span, None, None)
    renamed = seen.tracks.set_column(
        seen.tracks.schema.get_field_index("class"), "class", [[evil] * seen.tracks.num_rows]
    )
    span = replace(span, camera_id=evil)
    parts = [Part(piece, None, None, 320, 192, evil) for piece in span.pieces]
    data = viewer_data(span, parts, replace(seen, tracks=renamed), {evil: (evil, span)})
    file = tmp_path / "evil.html"
    file.write_text(viewer_page(data, span, notes=[evil], made=evil), encoding="utf-8")
    with opened(browser, file) as page:
        shows(page, 0)
        page.locator("body").press("t")
        assert page.locator("h1").text_content() == evil
        assert evil in page.locator("#track").inner_text()
        assert page.locator("img").count() == 0
