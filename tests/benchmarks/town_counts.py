"""Counts of the demo town beside its truth, seed by seed: python -m tests.benchmarks.town_counts 2 3 --duration 75.

Prints for each seed how many crossings there were and were counted, the total error (sum over cells of what is too much
and too little, over the truth), the greatest GEH of a cell (scaled to the hour from the seconds filmed, so that a
single error in a short town weighs much), and every error by its kind. Towns stay in --out and are
not rendered again. About two minutes a seed on two cores.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from pathlib import Path

from jobs.demo import demo
from pipeline.execution.progress import TerminalProgress


def main() -> None:
    """Run the towns of the seeds given and print one line each, their errors below it, and the sum at the end."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("seeds", nargs="+", type=int)
    parser.add_argument("--duration", type=float, default=75.0, help="seconds of footage")
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()) / "nightfleet-benchmark-towns")
    given = parser.parse_args()
    print("seed  truth  counted  error  GEH max  errors")
    totals: Counter[str] = Counter()
    for seed in given.seeds:
        out = given.out / f"{seed}-{given.duration:g}s"
        counts = demo(out, seed=seed, duration_s=given.duration, workers=None, progress=TerminalProgress())["counts"]
        if not counts["cells"]:
            print(f"{seed:4}  nobody crosses a line in {given.duration:g} s; give a longer --duration")
            continue
        totals.update({name: counts[name] for name in ("truth_total", "measured_total", "abs_error")})
        kinds = Counter(error["error"] for error in counts["errors"])
        print(
            f"{seed:4}  {counts['truth_total']:5}  {counts['measured_total']:7}  {counts['total_error']:5.1%}"
            f"  {counts['GEH']['max']:7.2f}  {', '.join(f'{n} {kind}' for kind, n in sorted(kinds.items())) or 'none'}"
        )
        for error in counts["errors"]:
            who = error["tracklet_id"] or f"object {error['object_id']}"
            place = f"{error['camera_id']} {error['line_id']} {error['direction']}"
            print(f"      {error['error']}: {place} {error['class']} {error['crossed_local']} {who}")
    error = totals["abs_error"] / max(totals["truth_total"], 1)
    print(f" all  {totals['truth_total']:5}  {totals['measured_total']:7}  {error:5.1%}")


if __name__ == "__main__":
    main()
