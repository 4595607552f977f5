"""The report page in a real browser: it needs nothing else, its figures are the SQL's, it fits phone and paper."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from jobs.report_page import report_page
from pipeline.config import DetectorConfig
from pipeline.lake import catalog
from pipeline.lake.writer import Lake
from tests.conftest import json_of, nightfleet
from tests.lake.making import entry, fleet, instant_us, line, no_rows
from tests.pages import filmed
from tests.pages.browser import PHONE, opened, scrolls_sideways
from tests.reports.watching import watch

HOSTILE = """<script>window.broken = 1</script>"'><img src=x onerror="window.broken = 1">"""
OUT, IN = [(80, 100), (120, 100)], [(120, 100), (80, 100)]
MADE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d(?=</time>|\">)")
SECTIONS = "coverage counts movements journeys speeds zones presence trust definitions provenance".split()
ZONE = {"name": "bay", "polygon": [(0, 0), (200, 0), (200, 200), (0, 200)]}
TABLE = "details:has(summary:has-text('gate · bridge')) table"


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """Three hours of two cameras: gate missed 40 minutes of it, yard's second file could not be processed."""
    lake = Lake.open_or_create(str(tmp_path_factory.mktemp("report") / "lake"))
    lines = [line(forward="inbound", backward="outbound"), line("rail", ((100, 160), (100, 260)))]
    lake.write_fleet(
        fleet(
            {"id": "gate", "time_zone": "Europe/Berlin", "lines": lines, "zones": [ZONE]},
            {"id": "yard", "time_zone": "Europe/Berlin"},
        )
    )
    day = "2026-03-03T"
    watch(lake, f"{day}07:00:00+00:00", f"{day}08:20:00+00:00", {"a": OUT, "b": OUT, "c": IN})
    watch(lake, f"{day}09:00:00+00:00", f"{day}10:00:00+00:00", {"d": IN}, at=f"{day}09:50:00+00:00")
    watch(lake, f"{day}07:00:00+00:00", f"{day}09:00:00+00:00", camera="yard")
    spoilt = entry(
        "yard-spoilt",
        "yard",
        status="quarantined",
        url="/secret/place/yard-9.mp4",
        reason="/secret/place/yard-9.mp4: the file breaks off",
        started_at_us=instant_us(f"{day}09:00:00+00:00"),
        ended_at_us=instant_us(f"{day}10:00:00+00:00"),
    )
    lake.write_unit(spoilt, day[:10], *no_rows(), None)
    return lake.url


@pytest.fixture(scope="module")
def page_file(lake, tmp_path_factory):
    out = tmp_path_factory.mktemp("page") / "deep" / "report.html"
    done = nightfleet("report", "html", lake, out, "--json")
    assert done.returncode == 0, done.stderr
    assert json_of(done) == {"written": str(out), "bytes": out.stat().st_size, "bin_s": 900}
    return out


def test_it_opens_from_the_disk_and_every_section_is_there(browser, page_file):
    with opened(browser, page_file) as page:
        assert [page.locator(f"h2#{name}").count() for name in SECTIONS] == [1] * len(SECTIONS)
        levels = page.eval_on_selector_all("h1, h2, h3, h4", "all => all.map(each => Number(each.tagName[1]))")
        assert levels[0] == 1 and levels.count(1) == 1
        assert all(after - before <= 1 for before, after in pairwise(levels))
        assert page.evaluate("[...document.querySelectorAll('nav a')].every(a => document.querySelector(a.hash))")
        assert page.locator("th:not([scope])").count() == 0
        unnamed = (
            "[role=img]:not([aria-label]), [role=region]:not([aria-label]), svg:not([aria-hidden]):not([aria-label])"
        )
        assert page.locator(unnamed).count() == 0
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the report"


def test_its_figures_are_those_of_the_sql(browser, lake, page_file):
    rows = catalog.query(lake, "FROM traffic_counts(900, NULL, NULL) WHERE line_id = 'bridge'").to_pylist()
    counted = [row for row in rows if row["count"] is not None]
    with opened(browser, page_file) as page:
        table = page.locator(TABLE)
        shown = table.locator("tbody tr").evaluate_all("all => all.map(tr => [...tr.cells].map(td => td.textContent))")
        assert len([row for row in shown if row[1] != "no footage"]) == len({row["bin_start"] for row in counted})
        assert sum(int(row[-2]) for row in shown if row[1] != "no footage") == sum(row["count"] for row in counted) == 4
        assert [row[0] for row in shown if row[1] == "no footage"] == ["09:30–10:00"]
        assert [row[-1] for row in shown if row[0] == "09:15–09:30"] == ["33\u202f%"]
        totals = page.locator("#counts ~ .wide table").first.locator("tbody tr")
        ways = totals.evaluate_all("all => all.map(tr => [...tr.cells].map(td => td.textContent))")
        assert [row[1:3] + row[4:5] for row in ways[:2]] == [["bridge", "inbound", "2"], ["bridge", "outbound", "2"]]
        assert page.locator(".keys dd").nth(2).inner_text().startswith("4.3\u202fh")  # 140 and 120 minutes


def test_what_was_not_watched_is_hatched_and_says_why(browser, page_file):
    with opened(browser, page_file) as page:
        assert page.locator("figure .hatch.none").count() >= 1
        strip = page.locator(".strips .strip").nth(1)
        left, width = strip.locator("i.failed").evaluate("e => [e.style.left, e.style.width]")
        assert [round(float(text.rstrip("%"))) for text in (left, width)] == [67, 33]
        text = page.locator("main").inner_text()
        assert "yard-9.mp4: the file breaks off" in text
        assert "/secret" not in page.content()
        assert "Not everything was watched: gate (78\u202f%) and yard (67\u202f%)" in text


@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_a_phone(browser, page_file, dark):
    with opened(browser, page_file, size=PHONE, dark=dark) as page:
        assert not scrolls_sideways(page)
        strip, label = (page.locator(f".strips {each}").first.bounding_box() for each in (".strip", ".ticks span"))
        assert label["x"] >= strip["x"]
        shade = "all => all.every(each => getComputedStyle(each).backgroundImage.split('linear-gradient').length === 5)"
        assert page.eval_on_selector_all(".wide", shade)  # it says that a table goes on
        page.get_by_role("button", name="Open all number tables").click()
        assert page.locator("details.numbers:not([open])").count() == 0
        assert not scrolls_sideways(page)
        ink, paper = page.evaluate(
            "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
        )
        assert (_light(ink), _light(paper)) == ((True, False) if dark else (False, True))


def test_it_prints_on_a4_with_nothing_cut(browser, page_file):
    with opened(browser, page_file, size=(680, 1000), dark=True) as page:  # 180 mm of 210, 96 pixels an inch
        page.emulate_media(media="print")
        assert not scrolls_sideways(page)
        assert page.locator("nav").is_hidden()
        assert _light(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        wide = "all => all.filter(each => each.getBoundingClientRect().right > 681).length"
        assert page.eval_on_selector_all(".plot, .scene, .strip, h2, p", wide) == 0
        kept = "all => all.every(each => getComputedStyle(each).breakInside === 'avoid')"
        assert page.eval_on_selector_all("figure, tr, .strips", kept)
        assert page.pdf(prefer_css_page_size=True)[:5] == b"%PDF-"


def test_a_chart_says_what_is_under_the_pointer(browser, page_file):
    with opened(browser, page_file) as page:
        plot = page.locator("figure.block .plot").first
        wide = plot.bounding_box()["width"]
        readout = page.locator("figure.block .readout").first
        for share, says in ((0.01, "08:00–08:15: inbound 1, outbound 2"), (0.55, "09:30–10:00: no footage")):
            plot.hover(position={"x": share * wide, "y": 30})
            assert readout.inner_text() == says


def test_hostile_names_are_only_text(browser, tmp_path):
    lake = Lake.open_or_create(str(tmp_path / "lake"))
    camera = {"id": "gate", "lines": [line(forward=HOSTILE, backward="out")]}
    lake.write_fleet(fleet(camera))
    watch(lake, "2026-03-03T12:00:00+00:00", "2026-03-03T12:15:00+00:00", {"a": OUT, HOSTILE: IN})
    bad = entry(
        "gate-2", status="quarantined", reason=HOSTILE, url=f"/x/{HOSTILE}.mp4", started_at_us=None, ended_at_us=None
    )
    lake.write_unit(bad, "2026-03-03", *no_rows(), None)
    out = tmp_path / "out.html"
    report_page(lake.url, out, title=HOSTILE)
    with opened(browser, out, size=PHONE) as page:
        assert page.evaluate("window.broken") is None
        assert page.title() == page.locator("h1").inner_text() == HOSTILE
        assert page.locator("img").count() == 0
        assert not scrolls_sideways(page)
        assert HOSTILE in page.locator("#counts ~ .wide").first.inner_text()


def test_a_day_of_a_clock_change_has_its_hours(browser, tmp_path):
    lake = Lake.open_or_create(str(tmp_path / "lake"))
    lake.write_fleet(fleet({"id": "gate", "time_zone": "Europe/Berlin", "lines": [line()]}))
    watch(lake, "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00")
    out = tmp_path / "out.html"
    report_page(lake.url, out, by="1h")
    with opened(browser, out) as page:
        times = page.locator(TABLE).locator("tbody th").all_text_contents()
        assert len(times) == len(set(times)) == 25
        assert times[2:4] == ["02:00–03:00 +02:00", "02:00–03:00 +01:00"]
        assert page.locator(".strips .much").inner_text() == "100\u202f%"
        assert "clocks of Europe/Berlin change" in page.locator(".caveats").inner_text()


@pytest.mark.parametrize(
    ("detector", "said"),
    [("motion", "its class told by its size alone"), ("one-shot", "learned from rendered pictures and a few clips")],
)
def test_it_says_how_far_its_detector_is_to_be_trusted(tmp_path, detector, said):
    lake = Lake.open_or_create(str(tmp_path / "lake"))
    config = fleet({"id": "gate", "lines": [line()]})
    models = config.models.model_copy(update={"detector": DetectorConfig(use=detector)})
    lake.write_fleet(config.model_copy(update={"models": models}))
    watch(lake, "2026-03-03T12:00:00+00:00", "2026-03-03T12:15:00+00:00")
    report_page(lake.url, tmp_path / "out.html")
    assert said in (tmp_path / "out.html").read_text(encoding="utf-8")


def test_a_lake_with_nothing_in_it_says_so_section_by_section(browser, tmp_path):
    lake = Lake.open_or_create(str(tmp_path / "lake"))
    lake.write_fleet(fleet({"id": "gate"}))
    out = tmp_path / "out.html"
    report_page(lake.url, out)
    with opened(browser, out, size=PHONE) as page:
        assert [page.locator(f"h2#{name}").count() for name in SECTIONS] == [1] * len(SECTIONS)
        assert page.locator(".empty").count() >= 7
        assert not scrolls_sideways(page)


def test_the_scene_stands_behind_its_lines(browser, tmp_path):
    lake = filmed.make(tmp_path)
    out = tmp_path / "out.html"
    report_page(str(lake), out)
    with opened(browser, out) as page:
        scene = page.locator("#counts ~ figure svg.scene").first
        assert scene.get_attribute("viewBox") == f"0 0 {filmed.WIDTH_PX}.0 {filmed.HEIGHT_PX}.0"
        assert scene.locator("use").get_attribute("href") == "#backdrop-1"
        assert page.locator("#backdrop-1").get_attribute("href").startswith("data:image/jpeg;base64,")
        assert {"gap", "bay", "out"} <= set(scene.locator("text").all_text_contents())
        assert page.locator("#presence ~ figure image.heat").count() == 2


def test_the_same_lake_gives_the_same_page(lake, page_file, tmp_path):
    report_page(lake, tmp_path / "again.html")
    pages = [MADE.sub("", file.read_text(encoding="utf-8")) for file in (page_file, tmp_path / "again.html")]
    assert pages[0] == pages[1]


def test_what_makes_no_sense_is_one_sentence(lake, tmp_path):
    (tmp_path / "file").write_text("")
    for wrong, says in (
        (["--from", "yesterday"], "--from: expected YYYY-MM-DD"),
        (["--from", "2026-03-02", "--to", "2026-03-01"], "later than the last"),
        (["--cameras", "nowhere"], "no camera 'nowhere'"),
        (["--by", "7min"], "a day is not a whole number"),
    ):
        done = nightfleet("report", "html", lake, tmp_path / "out.html", *wrong)
        assert (done.returncode, says in done.stderr) == (2, True), done.stderr
    done = nightfleet("report", "html", lake, tmp_path / "file" / "out.html")
    assert (done.returncode, "cannot be written" in done.stderr) == (2, True)


def _light(colour: str) -> bool:
    """Tell whether `rgb(r, g, b)` is nearer to white."""
    return sum(int(part) for part in colour[4:-1].split(",")[:3]) > 3 * 127
