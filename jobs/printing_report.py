"""How reports are shown on a terminal: bins with what came in them, and quiet stretches in one row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

from jobs import printing

if TYPE_CHECKING:
    import pyarrow as pa

    from pipeline.reports.tabular import Report

SHORTEST_FOLD = 3
"""As many quiet bins that follow on each other, or more, are one row."""

WIDEST_SPLIT = 10
"""Most columns of a printed table that tell classes apart; where there are more, each direction has one."""

Row = dict[str, Any]
Fill = Callable[[list[Row]], list]
"""Takes the rows of one bin and returns the cells of the printed row."""


def report(made: Report) -> None:
    """Print a report the way its kind is read best."""
    show = printing.console()
    show.print(f"[bold]{escape(made.about['report'])}[/]: {_asked(made)}", soft_wrap=True)
    _SHOWS[made.name](show, made)
    if "bin" in made.about:
        show.print("every bin by itself: --format csv, parquet or xlsx; – is not watched, so not known", soft_wrap=True)


def _asked(made: Report) -> str:
    zones = made.about["time zones"].split("; ")
    parts = [made.about["period"] + (f" of {zones[0].partition(': ')[0]}" if len(zones) == 1 else "")]
    if "bin" in made.about:
        parts.append(f"bins of {made.about['bin']}")
    return escape("; ".join(parts))


def _counts(show: Console, made: Report) -> None:
    what = "line_id" if made.name == "traffic" else "gate_id"
    rows = _rows(made.tables["counts"])
    for (camera, name), mine in groupby(rows, key=lambda row: (row["camera_id"], row[what])):
        _print_bins(show, f"{camera} · {name}: passages", list(mine), _by_direction_and_class)
    titles = {
        "camera_id": "camera",
        "line_id": "line",
        "gate_id": "gate",
        "watched_h": "watched (h)",
        "coverage_pct": "watched (%)",
        "busiest_bin": "busiest bin from",
        "busiest_count": "in it",
    }
    totals = made.tables["totals"]
    if what == "line_id" and totals["line_id"].equals(totals["gate_id"]):
        totals = totals.drop_columns(["gate_id"])
    _print_table(show, "Totals of all bins", totals, titles)
    if "dwell" in made.tables and made.tables["dwell"].num_rows:
        _print_table(show, "Dwell in zones", made.tables["dwell"], _DWELL)


def _occupancy(show: Console, made: Report) -> None:
    rows = _rows(made.tables["occupancy"])
    for (camera, zone), mine in groupby(rows, key=lambda row: (row["camera_id"], row["zone_id"])):
        _print_bins(show, f"{camera} · {zone}: objects inside", list(mine), _by_class_inside)


def _turns(show: Console, made: Report) -> None:
    rows = [
        {**row, "from": _way(row, "from"), "to": _way(row, "to") if row["to_gate"] else "one gate only"}
        for row in _rows(made.tables["totals"])
    ]
    title = "All bins together: tracks by the first and the last gate they passed"
    _print_pivot(show, title, rows, ("camera_id", "from", "to"))


def _flows(show: Console, made: Report) -> None:
    keys = ("date", "origin_camera_id", "destination_camera_id")
    _print_pivot(show, "Trips by the first and the last camera", _rows(made.tables["od"]), keys)
    rows = [
        {
            **row,
            "from": f"{row['from_camera_id']}: {_way(row, 'from')}",
            "to": f"{row['to_camera_id']}: {_way(row, 'to')}",
        }
        for row in _rows(made.tables["gates"])
    ]
    if rows:
        _print_pivot(show, "Trips by the first and the last gate, of two cameras", rows, ("date", "from", "to"))


def _travel_times(show: Console, made: Report) -> None:
    titles = {
        "from_camera_id": "from",
        "to_camera_id": "to",
        "overlapping": "seen by both at once",
        "min_s": "min (s)",
        "median_s": "median (s)",
        "p85_s": "85th percentile (s)",
    }
    _print_table(show, "From leaving one camera to entering the next", made.tables["travel_times"], titles)


def _dwell(show: Console, made: Report) -> None:
    _print_table(show, "Stays by zone and class", made.tables["dwell"], _DWELL)


def _peak(show: Console, made: Report) -> None:
    titles = {
        "camera_id": "camera",
        "gate_id": "gate",
        "class_group": "class",
        "hour_local": "hour from",
        "volume": "volume (1/h)",
        "peak_15min": "busiest 15 min",
        "phf": "PHF",
    }
    table = made.tables["peak"].drop_columns(["hour_start"])
    if table.num_rows and table["volume"].null_count == table.num_rows:
        show.print("no date has four quarter hours one after the other that were watched throughout", soft_wrap=True)
        return
    _print_table(show, "The busiest hour of each date, of those watched throughout", table, titles)


def _speeds(show: Console, made: Report) -> None:
    for name, title in (("bins", "by bin"), ("speeds", "over all")):
        if name in made.tables and made.tables[name].num_rows:
            rows = _rows(made.tables[name])
            label = _labels(row["bin_local"] for row in rows) if name == "bins" else None
            cells = [_speed_cells(row, label) for row in rows]
            heading = f"Speeds {title}, km/h ± one standard deviation"
            _print_grid(show, heading, list(cells[0]), (row.values() for row in cells))
    if not made.tables["speeds"].num_rows:
        show.print("no crossings")
    show.print(
        "n: speeds measured of all crossings; P85: 85th percentile; pace: the 10 km/h that hold most; cal.: error "
        "of the camera's calibration, – where it is not known and not in the errors",
        soft_wrap=True,
    )


def _speed_cells(row: Row, label: Callable[[str], str] | None) -> Row:
    """Return a row of speeds as people read it: each figure with its error."""
    named = {"camera": row["camera_id"], "line": row["line_id"], "direction": row["direction"], "class": row["class"]}
    if label is not None:
        named["from"] = label(row["bin_local"])
    figures = {
        name: _with_error(row[f"{key}_kmh"], row[f"{key}_error_kmh"])
        for name, key in (("mean", "mean"), ("median", "median"), ("P85", "p85"))
    }
    band = None if row["pace_from_kmh"] is None else f"{row['pace_from_kmh']:.0f}-{row['pace_from_kmh'] + 10:.0f}"
    calibration = row["calibration_error_pct"]
    known = None if calibration is None else f"{calibration:.1f} %"
    return {**named, "n": f"{row['n']} of {row['crossings']}", **figures, "pace": band, "cal.": known}


def _with_error(value: float | None, error: float | None) -> str | None:
    if value is None:
        return None
    return f"{value:.1f}" if error is None else f"{value:.1f}\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}{error:.1f}"


def _self_check(show: Console, made: Report) -> None:
    lines = {
        "camera_id": "camera",
        "line_id": "line",
        "doubtful_pct": "doubtful (%)",
        "perhaps_missed": "perhaps missed",
        "begin_or_end_on_line": "begin or end on it",
        "id_switches": "id switches near",
        "few_boxes": "few boxes",
    }
    _print_table(show, "Crossings by tracks that are in doubt", made.tables["lines"], lines)
    cameras = {
        "camera_id": "camera",
        "appear_in_mid_scene": "appear in mid-scene",
        "appear_pct": "(%)",
        "vanish_in_mid_scene": "vanish in mid-scene",
        "vanish_pct": "(%)",
    }
    _print_table(show, "Tracks that appear or vanish in mid-scene", made.tables["cameras"], cameras)
    show.print(
        "doubtful: crossings by tracks that begin or end on that line, were detected fewer than 10 times, or took part "
        "in a suspected id switch near it. perhaps missed: tracks that begin or end on the line and were not counted. "
        "A door, a pillar or a parked vehicle makes everyone who uses it appear in mid-scene. `nightfleet explain "
        "count` shows the tracks; --json and xlsx list every doubt.",
        soft_wrap=True,
    )


_SHOWS: dict[str, Callable[[Console, Report], None]] = {
    "traffic": _counts,
    "gates": _counts,
    "turns": _turns,
    "occupancy": _occupancy,
    "dwell": _dwell,
    "od": _flows,
    "travel-times": _travel_times,
    "peak": _peak,
    "speeds": _speeds,
    "self-check": _self_check,
}

_DWELL = {
    "camera_id": "camera",
    "zone_id": "zone",
    "lower_bounds": "seen in part",
    "total_s": "total (s)",
    "mean_s": "mean (s)",
    "median_s": "median (s)",
    "longest_s": "longest (s)",
}


def _rows(table: pa.Table) -> list[Row]:
    return table.to_pylist()


def _way(row: Row, end: str) -> str:
    return f"{row[f'{end}_gate']} {row[f'{end}_direction']}"


def _print_table(show: Console, title: str, table: pa.Table, titles: dict[str, str]) -> None:
    if table.num_rows == 0:
        show.print(f"{title}: none", soft_wrap=True)
        return
    heads = [titles.get(name, name) for name in table.column_names]
    _print_grid(show, title, heads, (row.values() for row in _rows(table)))


def _print_grid(show: Console, title: str, heads: Sequence[str], rows: Iterable) -> None:
    show.print(f"[bold]{escape(title)}[/]", soft_wrap=True)
    show.print(printing.grid(heads, rows))


def _print_pivot(show: Console, title: str, rows: list[Row], keys: Sequence[str]) -> None:
    """Print counts by `keys`, a column for each class; a date that all share stands in the title."""
    if not rows:
        show.print(f"{title}: none", soft_wrap=True)
        return
    if "date" in keys and len({row["date"] for row in rows}) == 1:
        title, keys = f"{title}, {rows[0]['date']}", [key for key in keys if key != "date"]
    classes = sorted({row["class"] for row in rows if row["class"] is not None})
    cells: dict[tuple, Row] = {}
    for row in rows:
        mine = cells.setdefault(tuple(row[key] for key in keys), {})
        mine[row["class"]] = _sum((mine.get(row["class"]), row["count"]))
    heads = [_HEADS.get(key, key) for key in keys]
    all_head = ["all"] if len(classes) != 1 else []
    laid_out = [
        [*key, *(mine.get(name, 0) for name in classes), *([_sum(mine.values())] if all_head else [])]
        for key, mine in cells.items()
    ]
    _print_grid(show, title, [*heads, *classes, *all_head], laid_out)


_HEADS = {"camera_id": "camera", "origin_camera_id": "from", "destination_camera_id": "to"}


def _print_bins(
    show: Console, title: str, rows: list[Row], spread: Callable[[list[Row]], tuple[list[str], Fill]]
) -> None:
    """Print the rows of one line or zone, a bin a row; quiet ones that follow on each other in one."""
    heads, cells_of = spread(rows)
    rows = sorted(rows, key=lambda row: row["bin_start"])
    bins = [list(mine) for _, mine in groupby(rows, key=lambda row: row["bin_start"])]
    label = _labels([mine[0]["bin_local"] for mine in bins])
    laid_out = []
    for quiet, run in groupby(bins, key=_quiet):
        run = list(run)
        if quiet and len(run) >= SHORTEST_FOLD:
            first, last = label(run[0][0]["bin_local"]), label(run[-1][0]["bin_local"])
            covered = sum(mine[0]["coverage_pct"] * mine[0]["bin_s"] for mine in run) / sum(m[0]["bin_s"] for m in run)
            blanks = [None if quiet == _UNWATCHED else 0] * len(heads)
            laid_out.append([f"{first} … {last} ({len(run)} bins)", *blanks, _percent(covered)])
        else:
            for mine in run:
                laid_out.append([label(mine[0]["bin_local"]), *cells_of(mine), _percent(mine[0]["coverage_pct"])])
    dates = sorted({mine[0]["bin_local"][:10] for mine in bins})
    day = f", {dates[0]}" if len(dates) == 1 else ""
    _print_grid(show, title + day, ["from", *heads, "watched (%)"], laid_out)


_UNWATCHED, _NOTHING = "not watched", "nothing came"


def _quiet(mine: list[Row]) -> str:
    """Say why a bin need not be shown by itself; empty where it must be."""
    if mine[0]["coverage_pct"] == 0 and all(not row.get("count") for row in mine):
        return _UNWATCHED
    figures = ("count", "max_occupancy", "entered", "left")
    return _NOTHING if all(not row.get(figure) for row in mine for figure in figures) else ""


def _labels(starts: Iterable[str]) -> Callable[[str], str]:
    """Return how to write local starts (ISO 8601): seconds, dates and offsets only where they tell bins apart."""
    starts = list(starts)
    end = 16 if all(start[16:19] == ":00" for start in starts) else 19
    several_dates = len({start[:10] for start in starts}) > 1
    several_offsets = len({start[19:] for start in starts}) > 1
    return lambda start: (
        (f"{start[:10]} " if several_dates else "") + start[11:end] + (start[19:] if several_offsets else "")
    )


def _by_direction_and_class(rows: list[Row]) -> tuple[list[str], Fill]:
    """Return headings and how to fill them: a column for each direction and class that was counted, and their sum."""
    directions = sorted({row["direction"] for row in rows})
    counted = sorted({(row["direction"], row["class"]) for row in rows if row["count"]})
    if len(counted) > WIDEST_SPLIT or not counted:
        counted = [(direction, None) for direction in directions]
    heads = [direction if name is None else f"{direction} {name}" for direction, name in counted]

    def cells(mine: list[Row]) -> list:
        by_stream = [
            _sum(row["count"] for row in mine if row["direction"] == direction and name in (None, row["class"]))
            for direction, name in counted
        ]
        return [*by_stream, *([_sum(row["count"] for row in mine)] if len(counted) > 1 else [])]

    return [*heads, *(["all"] if len(counted) > 1 else [])], cells


def _by_class_inside(rows: list[Row]) -> tuple[list[str], Fill]:
    """Return headings and how to fill them: mean and most inside for each class, and who came and went."""
    classes = sorted({row["class"] for row in rows if row["class"] is not None})
    heads = [f"{name} {figure}" for name in classes for figure in ("mean", "most")]

    def cells(mine: list[Row]) -> list:
        by_class = {row["class"]: row for row in mine}
        inside = [by_class[name][figure] for name in classes for figure in ("mean_occupancy", "max_occupancy")]
        return [*inside, *(_sum(row[figure] for row in mine) for figure in ("entered", "left"))]

    return [*heads, "entered", "left"], cells


def _sum(values: Iterable[int | None]) -> int | None:
    """Add up what is known; None where nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _percent(value: float) -> float | int:
    """Return a share to print: nothing and all without decimals."""
    return int(value) if value in (0, 100) else value
