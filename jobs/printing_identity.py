"""How identities, and what was decided about them, are shown."""

from __future__ import annotations

from jobs.printing import console, show_rows


def merged(result: dict) -> None:
    """Print what a merge did."""
    console().print(
        f"{result['gone']} is {result['identity_id']} now: {result['tracklets']} tracklets, "
        f"{', '.join(result['nights'])}; kept as decision {result['decision_id']}",
        soft_wrap=True,
    )


def split(result: dict) -> None:
    """Print what a split did."""
    n_out = len(result["tracklets"])
    console().print(
        f"{n_out} tracklet{'s' if n_out > 1 else ''} of {result['identity_id']} became {result['new_identity_id']}; "
        f"kept as decision {result['decision_id']}",
        soft_wrap=True,
    )


def decisions(rows: list[dict]) -> None:
    """Print the decisions of a lake."""
    if not rows:
        console().print("nothing was decided yet")
        return
    columns = ["decision", "when", "by", "identities now", "tracklets", "applies", "note"]
    show_rows(
        columns,
        (
            [
                row["decision_id"],
                row["decided_at"],
                row["by"],
                ", ".join(row["identities"]),
                len(row["tracklets"]),
                row["applies"],
                row["note"],
            ]
            for row in rows
        ),
    )
    for row in rows:
        if row["gone"]:
            shown = ", ".join(row["gone"][:3]) + (" and more" if len(row["gone"]) > 3 else "")
            console().print(
                f"[yellow]{row['decision_id']}[/] applies {row['applies'].replace('no', 'no longer')}: "
                f"{len(row['gone'])} of its tracklets are not in the lake any more ({shown})",
                soft_wrap=True,
            )


def undone(result: dict) -> None:
    """Print what taking a decision back did."""
    console().print(
        f"took back {result['decision_id']}; its tracklets were {', '.join(result['before']) or 'in no identity'} and "
        f"are {', '.join(result['after']) or 'in no identity'} now",
        soft_wrap=True,
    )


def explained(result: dict) -> None:
    """Print why an identity is one."""
    show = console()
    show.print(f"[bold]{result['identity_id']}[/] ({result['class_group']})")
    columns = ["", "camera", "class", "from", "to", "travel s", "confidence", "tracklet"]
    keys = ["nth", "camera_id", "class", "started_at", "ended_at", "travel_s", "confidence", "tracklet_id"]
    show_rows(columns, ([one[key] for key in keys] for one in result["sightings"]))
    show.print("[bold]Merges[/]" if result["merges"] else "nothing was merged: this tracklet stands alone")
    for one in result["merges"]:
        alike = "" if one["similarity"] is None else f"similarity {one['similarity']:.3f}, "
        show.print(
            f"{one['tracklet_a']} + {one['tracklet_b']}: {one['because']} ({alike}probability "
            f"{one['probability']:.3f}, both sides {one['merge_probability']:.3f}, travel {one['travel_s']:.1f} s)",
            soft_wrap=True,
        )
    for one in result["decisions"]:
        said = f" by {one['by']}" if one["by"] else ""
        show.print(f"decided{said}: {one['decision_id']}{': ' + one['note'] if one['note'] else ''}", soft_wrap=True)
    if result["nearest"]:
        show.print("[bold]Most alike of those not joined[/]")
        titles = ["similarity", "probability", "travel s", "camera", "identity", "why not"]
        names = ["similarity", "probability", "travel_s", "camera_id", "identity_id", "reason"]
        show_rows(titles, ([one[name] for name in names] for one in result["nearest"]))


def topology(result: dict) -> None:
    """Print proposed links, as YAML to review."""
    console().print(result["yaml"], end="", markup=False, highlight=False, soft_wrap=True)
