"""The demo: render a town, run the night on it, report, and score it against its exact truth."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from jobs import evaluate, nightly
from jobs.evaluate_counts import DEFAULT_BY, bin_seconds, evaluate_counts
from jobs.pictures import draw_night
from pipeline import __version__, config
from pipeline.demo import town
from pipeline.errors import UserError
from pipeline.evaluation.comparable import NothingToCompareError
from pipeline.evaluation.counts import compare
from pipeline.execution.progress import Progress

MARK = "town.json"
"""File that says which town a folder holds, so that a second demo does not render it again."""


def demo(out: Path, *, seed: int, duration_s: float, workers: int | None, progress: Progress) -> dict:
    """Run the whole demo in `out`; returns the run's summary, counts beside the truth, scores and picture paths.

    Raises UserError where `out` holds something that is not a demo of nightfleet.
    """
    fleet_file = _render_once(out, seed, duration_s, progress)
    fleet = config.load(fleet_file)
    # Kept, so that `nightfleet retrack` and the notebook about trackers have something to work on.
    spread = {"keep_detections": True, **({} if workers is None else {"workers": workers})}
    fleet = fleet.model_copy(update={"execution": fleet.execution.model_copy(update=spread)})
    summary = nightly.run(fleet, progress=progress)
    truth = out / "truth"
    try:
        counts = evaluate_counts(truth / "crossings.csv", fleet.lake)
    except NothingToCompareError:  # so short a town that nobody reaches a line in it
        counts = compare({}, {}, bin_seconds(DEFAULT_BY))
    return {
        "run": summary.to_json(),
        "counts": counts,
        "scores": _headline(evaluate.evaluate_mot(truth, fleet.lake), truth, fleet.lake, counts),
        "pictures": [str(path) for path in draw_night(fleet, out / "pictures")],
        "truth": str(truth),
        "seed": seed,
    }


def _render_once(out: Path, seed: int, duration_s: float, progress: Progress) -> Path:
    """Render the town unless this very one is there already."""
    wanted = {"seed": seed, "duration_s": duration_s, "version": __version__}
    mark = out / MARK
    if mark.exists() and json.loads(mark.read_text(encoding="utf-8")) == wanted:
        return out / "fleet.yaml"
    if out.exists() and any(out.iterdir()):
        if not (mark.exists() or ((out / "fleet.yaml").exists() and (out / "truth").is_dir())):
            raise UserError(f"{out}: is not empty and holds no demo of nightfleet; give --out another folder")
        for part in ("footage", "truth", "lake", "pictures"):
            shutil.rmtree(out / part, ignore_errors=True)
        mark.unlink(missing_ok=True)
    fleet_file = town.render(out, seed=seed, duration_s=duration_s, progress=progress.rendering)
    mark.write_text(json.dumps(wanted), encoding="utf-8")
    return fleet_file


def _headline(mot: dict, truth: Path, lake: str, counts: dict) -> dict:
    """Return the scores the demo prints."""
    return {
        **{name: mot[name] for name in ("HOTA", "DetA", "AssA", "MOTA", "IDF1", "IDSW")},
        "multi-camera IDF1": evaluate.evaluate_mtmc(truth / "mtmc.txt", lake)["IDF1"],
        "crossings in truth": counts["truth_total"],
        "crossings counted": counts["measured_total"],
        "count error": counts["total_error"],
    }
