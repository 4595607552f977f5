"""How scores and speeds are shown, and the demo, which scores itself."""

from __future__ import annotations

from rich.markup import escape

from jobs.printing import cell, complain, console, grid, run, shown


def scores(result: dict) -> None:
    """Print a dict of scores: numbers first, then tables for lists of rows and for nested dicts."""
    show = console()
    flat = {key: value for key, value in result.items() if not isinstance(value, (dict, list))}
    if flat:
        show.print(grid(["score", "value"], flat.items()))
    for key, value in result.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            show.print(grid(list(value[0]), (row.values() for row in value), title=key))
        elif isinstance(value, dict) and value:
            nested = all(isinstance(inner, dict) for inner in value.values())
            if nested:
                names = list(next(iter(value.values())))
                show.print(grid([key, *names], ([name, *inner.values()] for name, inner in value.items())))
            else:
                show.print(grid([key, "value"], value.items()))


def counts(result: dict) -> None:
    """Print how far counts are from the truth: the totals, each class, the cells that are off, and every error."""
    show = console()
    names = ["truth_total", "measured_total", "abs_error", "total_error", "net_error", "WAPE", "cells", "exact_cells"]
    rows = [(name, result[name]) for name in names]
    for title, geh in (("GEH of cells", result["GEH"]), ("GEH by hour", result["hourly"])):
        rows += [(f"{title}, {name}", geh[name]) for name in ("mean", "max", "share_below_5")]
    crossings = result["truth_kind"] == "crossings"
    if crossings:
        rows += [(name, result[name]) for name in ("matched", "missed", "double", "false", "wrong_direction")]
    show.print(grid(["score", "value"], rows))
    _rows(show, result["by_class"], "by class")
    if crossings:
        _rows(show, result["confusion"], "true class, measured as")
    keys = ["camera_id", "line_id", "direction", "class", "bin_local", "truth", "measured", "error", "GEH"]
    off = [{key: row[key] for key in keys} for row in result["per_cell"] if row["error"]]
    _rows(show, off, f"cells that are off ({len(off)} of {result['cells']})")
    _rows(show, result["not_compared"], "cells without footage, not compared")
    if crossings:
        keys = ["error", "camera_id", "line_id", "direction", "class", "crossed_local", "object_id", "tracklet_id"]
        _rows(show, [{key: row[key] for key in keys} for row in result["errors"]], "errors, one by one")
    for note in result["notes"]:
        show.print(escape(f"note: {note}"), soft_wrap=True)
    if "written" in result:
        show.print(f"wrote {shown(result['written'])}", soft_wrap=True)


def _rows(show, rows: list[dict], title: str) -> None:
    if rows:
        show.print(grid(list(rows[0]), (row.values() for row in rows), title=title))


def tracker_scores(result: dict) -> None:
    """Print the scores of trackers: by sequence, the peers' beside ours, then combined."""
    show = console()
    names = ["HOTA", "DetA", "AssA", "MOTA", "IDF1", "IDSW", "Frag"]
    trackers = {"nightfleet": result, **result["beside"]}
    by_place = [(name, sequence, row) for name, of in trackers.items() for sequence, row in of["sequences"].items()]
    by_place.sort(key=lambda one: one[1])  # stable: within a sequence in the order of the trackers
    combined = [(name, "combined", of) for name, of in trackers.items() if of["sequences"]]
    cells = ([place, name, *(row[key] for key in names)] for name, place, row in [*by_place, *combined])
    show.print(grid(["sequence", "tracker", *names], cells))
    for sequence in result["not_scored"]:
        show.print(f"not scored: {escape(sequence)} has no gt/gt.txt")


def reid(result: dict) -> None:
    """Print how well people are known again: what was asked, then a line a way of comparing."""
    show = console()
    show.print(
        f"{escape(result['embedder'])}, 128 numbers"
        + (f" by {shown(result['projection'])}" if result["projection"] else "")
        + f": {result['protocol']}; {result['queries']} queries of {result['people']} people, {result['gallery']} "
        f"pictures of {result['cameras']} cameras; the same person in the same camera is left out",
        soft_wrap=True,
    )
    rows = [
        [
            "taken out" if row["camera_means_removed"] else "left in",
            "k-reciprocal" if row["reranked"] else "cosine",
            *(100 * row[key] for key in ("rank1", "rank5", "rank10", "mAP")),
        ]
        for row in result["scores"]
    ]
    show.print(grid(["camera means", "ranked by", "rank-1 %", "rank-5 %", "rank-10 %", "mAP %"], rows))
    _apart(show, result["distances"])
    if result["unanswerable"]:
        show.print(f"not asked: {result['unanswerable']} crops that show nobody, or somebody no other camera saw")


def _apart(show, distances: list[dict]) -> None:
    """Print how far apart anchors are from pictures of the same person and of others."""
    rows = []
    for one in distances:
        means = "taken out" if one["camera_means_removed"] else "left in"
        for name, kind in (("positive", "the same person"), ("negative", "others")):
            if one[name] is not None:
                values = [one[name][key] for key in ("mean", "p5", "p25", "p50", "p75", "p95")]
                rows.append([means, kind, one[name]["pairs"], *(round(value, 3) for value in values)])
    show.print(grid(["camera means", "distance to", "pairs", "mean", "5 %", "25 %", "50 %", "75 %", "95 %"], rows))
    for one in distances:
        if one["separation"] is not None:
            means = "taken out" if one["camera_means_removed"] else "left in"
            show.print(
                f"camera means {means}: a picture of the same person is nearer than another's in "
                f"{100 * one['separation']:.1f} % of pairs; the farthest of the same is at "
                f"{one['farthest_positive']:.3f} on average, the nearest other at {one['nearest_negative']:.3f}",
                soft_wrap=True,
            )


def fitted(result: dict) -> None:
    """Print what was fitted, and where it is to be written down."""
    written, use = shown(result["written"]), escape(result["embedder"])
    console().print(
        f"wrote {written}, fitted to {result['pictures']} pictures for {use}; to use it, set\n"
        f"  models: {{embedder: {{use: '{use}', projection: {written}}}}}",
        soft_wrap=True,
    )


def demo(result: dict) -> None:
    """Print the demo's night: what was processed, counts beside the truth, scores."""
    show = console()
    show.print("[bold]What was processed[/]")
    run(result["run"])
    show.print("\n[bold]Crossings by line, beside the truth[/]")
    columns = ["camera", "line", "direction", "class", "counted", "truth"]
    keys = ["camera_id", "line_id", "direction", "class", "measured", "truth"]
    show.print(grid(columns, ([row[key] for key in keys] for row in result["counts"]["per_cell"])))
    show.print("\n[bold]Scores against the exact truth[/]")
    show.print(grid(["score", "value"], result["scores"].items()))
    show.print(f"pictures: {escape(', '.join(result['pictures']))}", soft_wrap=True)
    show.print(f"lake: {shown(result['run']['lake'])}   truth: {escape(str(result['truth']))}", soft_wrap=True)


def score_scales(scale_of: dict[str, str]) -> None:
    """Say on stderr, in one line, which sequences had confidences that are not scores of 0 to 1, if any had."""
    read_as = {"percent": "divided by 100", "log odds": "taken as log odds", "none given": "not given and count as 1"}
    told = [
        f"{', '.join(name for name, of in scale_of.items() if of == scale)} ({how})"
        for scale, how in read_as.items()
        if scale in scale_of.values()
    ]
    if told:
        complain(f"confidences that are not scores of 0 to 1: {'; '.join(told)}")


def speeds(rows: list[dict]) -> None:
    """Print milliseconds a frame, a row per tracker and a column per input, and what they do not show."""
    from jobs.bench_tracker import footnote

    inputs, trackers = (list(dict.fromkeys(row[key] for row in rows)) for key in ("input", "tracker"))
    known = {(row["input"], row["tracker"]): f"{row['ms_per_frame']:.3g}" for row in rows}
    lines = [[tracker, *(known[name, tracker] for name in inputs)] for tracker in trackers]
    show = console()
    show.print(grid(["ms a frame", *inputs], lines))
    show.print(footnote(inputs), soft_wrap=True, markup=False)


def identity_speeds(rows: list[dict]) -> None:
    """Print what `bench identity` measured, a column per night, and what its figures count."""
    names = {
        "cameras": "cameras",
        "people": "people",
        "seconds": "seconds",
        "faiss_seconds": "of these in FAISS",
        "times_faiss": "seconds / FAISS seconds",
        "all_pairs_seconds": "all-pairs k-NN alone, s (estimate)",
        "peak_mib": "peak memory, MiB",
        "vectors_mib": "vectors, MiB",
        "times_vectors": "peak / vectors",
        "f1": "pairwise F1",
        "precision": "precision",
        "recall": "recall",
        "identities": "identities",
        "pairs": "pairs compared",
        "compared_share": "share of all pairs",
    }
    cells = ([title, *(cell(row[key]) for row in rows)] for key, title in names.items())
    show = console()
    show.print(grid(["tracklets", *(f"{row['tracklets']:,}" for row in rows)], cells))
    show.print(f"search: {'; '.join(dict.fromkeys(row['search'] for row in rows))}; device: {rows[0]['device']}")
    show.print(
        "Memory is what the process grew by from before the night was made, vectors included. The estimate is FAISS's "
        "speed in an exact search of this run, times all pairs of exemplars.",
        soft_wrap=True,
    )


def report_speeds(rows: list[dict]) -> None:
    """Print what `bench reports` measured, a row per question, and what its figures mean."""
    titles = ["question", "seconds", "scan, s", "ratio", "goal"]
    cells = (
        [row["query"], f"{row['seconds']:.3f}", *(cell(row[key]) for key in ("scan_seconds", "ratio", "goal"))]
        for row in rows
    )
    show = console()
    show.print(grid(titles, cells))
    show.print(
        f"{rows[0]['rows']:,} observations, {rows[0]['threads']} threads. A scan reads the columns that the question "
        "needs out of the same files and adds them up; both are the best of three, with the files in memory.",
        soft_wrap=True,
    )
