"""How fast are the reports? Each beside the bare scan of the columns it needs, in the same run, on a made-up lake."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.report import opened
from pipeline.demo import traffic
from pipeline.demo.traffic import Size
from pipeline.errors import UserError
from pipeline.lake import catalog
from pipeline.lake.catalog import Connection
from pipeline.lake.writer import Lake

ROWS, FEWER_ROWS = 100_000_000, 10_000_000

BYTES_A_ROW = 21
"""Of a lake of made-up traffic, measured."""

RUNS = 3
"""The best of so many counts, of reports and scans alike; the machine's memory holds the files after the first."""

PATIENCE_S = 20.0
"""What took so long already is not run again."""

_PLACES = "o.tracklet_id, o.captured_at, o.x1, o.y1, o.x2, o.y2"
_DAY = "'2026-06-16'"


@dataclass(frozen=True, slots=True)
class Query:
    """A question, the scan it is measured by, and how much longer than that it may take.

    scan   columns and the relation they are read from; None where no scan bounds the answer
    most   greatest ratio aimed at; None where none was promised
    """

    name: str
    sql: str
    scan: tuple[str, str] | None
    most: float | None = None


_COUNTS = "FROM traffic_counts(900, NULL, NULL) WHERE line_id = '{line}'"
_LINES = len(traffic.ARMS)
_TRACKS = ("t.class, t.started_at, t.ended_at", "tracklets AS t")
_BOXES = (_PLACES, "observations AS o")
_ONE_DAY = (_PLACES, f"observations AS o WHERE o.date = {_DAY} AND o.camera = '{{camera}}'")

QUERIES = (
    Query("tracks by camera, hour and class", "FROM track_counts(3600, NULL, NULL)", _TRACKS, 1.5),
    Query(
        "distinct tracks, from their boxes",
        "SELECT count(*) FROM (SELECT DISTINCT tracklet_id FROM observations)",
        ("o.tracklet_id", "observations AS o"),
        1.5,
    ),
    Query("counts by 15 min, every line", "FROM traffic_counts(900, NULL, NULL)", _BOXES),
    Query(
        "crossings of one camera-day",
        f"FROM crossings_between({_DAY}, {_DAY}) WHERE camera_id = '{{camera}}'",
        _ONE_DAY,
    ),
    Query("turning movements by hour", "FROM turning_movements(3600, NULL, NULL)", _BOXES),
    Query("dwell in zones", "FROM zone_dwell(NULL, NULL)", _BOXES),
    Query("occupancy of zones by 15 min", "FROM zone_occupancy(900, NULL, NULL)", _BOXES),
    Query("travel times between cameras", "FROM travel_times(NULL, NULL)", _TRACKS),
)


def number_of(text: str) -> int:
    """Return how many rows `100M`, `500k` or `20000` are. Raises UserError for anything else."""
    found = re.fullmatch(r"(\d+)([kM]?)", text.strip())
    if found is None or int(found[1]) == 0:
        raise UserError(f"--rows: expected a number of rows such as 100M, 10M or 500k, got {text!r}")
    return int(found[1]) * {"": 1, "k": 1000, "M": 1_000_000}[found[2]]


def bench_reports(
    n_rows: int | None = None, *, lake: Path | None = None, seed: int = 1, progress: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Return a row per report: query, rows, seconds, scan_seconds (None: nothing is scanned), ratio, goal, threads.

    The lake is made in a temporary folder, or in `lake`, where it stays and is used again. Without `n_rows` it has 100M
    observations, or 10M where the disk is short. Raises UserError where it is too short for the rows asked for.
    """
    folder = Path(tempfile.mkdtemp(prefix="nightfleet-bench-")) if lake is None else lake
    try:
        size = Size.of(_rows_that_fit(n_rows, folder, progress), seed)
        progress(f"making {size.rows:,} observations of {size.cameras} cameras in {folder}; exemplars are left out")
        return _measured(traffic.make(str(folder), size, progress), size, progress)
    finally:
        if lake is None:
            shutil.rmtree(folder, ignore_errors=True)


def _rows_that_fit(n_rows: int | None, folder: Path, progress: Callable[[str], None]) -> int:
    """Return how many rows to make: those asked for, else as many as promised and the disk holds twice."""
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(there).free
    if (folder / traffic.MADE).exists():
        return n_rows or ROWS
    if n_rows is None and free < 2 * ROWS * BYTES_A_ROW:
        progress(f"{free / 1e9:.1f} GB are free in {there}, too few for {ROWS:,} rows: making {FEWER_ROWS:,}")
        n_rows = FEWER_ROWS
    n_rows = n_rows or ROWS
    if free < 2 * n_rows * BYTES_A_ROW:
        raise UserError(
            f"{there}: expected {2 * n_rows * BYTES_A_ROW / 1e9:.1f} GB free for {n_rows:,} rows, got {free / 1e9:.1f} "
            "GB; name another folder by --lake, or fewer --rows"
        )
    return n_rows


def _measured(lake: Lake, size: Size, progress: Callable[[str], None]) -> list[dict[str, Any]]:
    lake.write_fleet(traffic.fleet(size))
    bench = _Bench(lake, progress)
    try:
        bench.first_reports(size)
        lake.write_fleet(traffic.fleet(size))
        with catalog.connect(lake.url) as connection:
            for query in QUERIES:
                bench.ask(connection, query, size.camera_ids[-1])
    finally:
        lake.write_fleet(traffic.fleet(size))  # the lake is as it was made, for the next bench
    return bench.rows


class _Bench:
    """Collects a row per question."""

    def __init__(self, lake: Lake, progress: Callable[[str], None]) -> None:
        self._lake, self._progress = lake, progress
        self._scan_s: dict[tuple[str, str], float] = {}
        self.rows: list[dict[str, Any]] = []
        opening_s = _best(lambda: catalog.connect(lake.url).close())
        with catalog.connect(lake.url) as connection:
            asked = "SELECT (SELECT sum(observations)::BIGINT FROM ledger), current_setting('threads')"
            self._n_rows, self._threads = connection.execute(asked).fetchone()
        self._add("opening the lake", opening_s, None, None)

    def first_reports(self, size: Size) -> None:
        """Ask for counts over lines that nobody asked for before, as a report does: find crossings, keep and count."""
        self._progress("the first report over all lines")
        began_s = time.perf_counter()
        self._report("north")
        first_s = time.perf_counter() - began_s
        with catalog.connect(self._lake.url) as connection:
            scan_s = self._scan(connection, _BOXES)
        self._add(f"first report over {_LINES} lines in every camera", first_s, scan_s, None)
        self._progress(f"the first report over a new line, {RUNS} lines one after another")
        first_s, again_s = [], []
        for nth in range(RUNS):
            name = f"new-{nth}"
            # Across one arm, in another place each time: the digest of a line is that of where it lies.
            line = {"name": name, "points": ((560, 700 + 10 * nth), (1360, 720 + 10 * nth))}
            self._lake.write_fleet(traffic.fleet(size, (line,)))
            for seconds in (first_s, again_s):
                began_s = time.perf_counter()
                self._report(name)
                seconds.append(time.perf_counter() - began_s)
        self._add("first report over a new line in every camera", min(first_s), scan_s, 3.0)
        self._add("the same report again, opening the lake and all", min(again_s), scan_s, None)
        with catalog.connect(self._lake.url) as connection:
            again_s = _best(lambda: _drain(connection, _COUNTS.replace("{line}", name)))
        self._add("the same counts again, on an open lake", again_s, scan_s, None)

    def ask(self, connection: Connection, query: Query, camera: str) -> None:
        """Measure one question and its scan."""
        self._progress(query.name)
        scan = None if query.scan is None else self._scan(connection, query.scan, camera)
        seconds = _best(lambda: _drain(connection, query.sql.replace("{camera}", camera)))
        self._add(query.name, seconds, scan, query.most)

    def _report(self, line: str) -> None:
        with opened(self._lake.url) as connection:
            _drain(connection, _COUNTS.replace("{line}", line))

    def _scan(self, connection: Connection, scan: tuple[str, str], camera: str = "") -> float:
        if scan not in self._scan_s:
            columns, relation = scan
            sql = f"SELECT {', '.join(map(_used, columns.split(', ')))} FROM {relation.replace('{camera}', camera)}"
            self._scan_s[scan] = _best(lambda: _drain(connection, sql))
        return self._scan_s[scan]

    def _add(self, query: str, seconds: float, scan_s: float | None, most: float | None) -> None:
        self.rows.append(
            {
                "query": query,
                "rows": self._n_rows,
                "seconds": seconds,
                "scan_seconds": scan_s,
                "ratio": None if scan_s is None else seconds / scan_s,
                "goal": most,
                "threads": self._threads,
            }
        )


def _used(column: str) -> str:
    """Return an aggregate that must look at every value of a column and does next to nothing with it."""
    if column.endswith("_at"):
        return f"bit_xor(epoch_us({column}))"
    return f"sum(strlen({column}))" if column.endswith(("_id", "class")) else f"sum({column})"


def _drain(connection: Connection, sql: str) -> int:
    return connection.sql(sql).to_arrow_table().num_rows


def _best(work: Callable[[], Any]) -> float:
    """Return the seconds of the fastest of some runs."""
    seconds = []
    while len(seconds) < RUNS and sum(seconds) < PATIENCE_S:
        began_s = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began_s)
    return min(seconds)
