"""How identities are shown: where they are found, what was decided about them, what was erased."""

from __future__ import annotations

from rich.markup import escape

from jobs.printing import complain, console, grid, show_rows, shown


def merged(result: dict) -> None:
    """Print what a merge did."""
    console().print(
        f"{escape(result['gone'])} is {escape(result['identity_id'])} now: {result['tracklets']} tracklets, "
        f"{', '.join(result['nights'])}; kept as decision {result['decision_id']}",
        soft_wrap=True,
    )


def split(result: dict) -> None:
    """Print what a split did."""
    n_out = len(result["tracklets"])
    console().print(
        f"{n_out} tracklet{'s' if n_out > 1 else ''} of {escape(result['identity_id'])} became "
        f"{escape(result['new_identity_id'])}; "
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
            names = ", ".join(row["gone"][:3]) + (" and more" if len(row["gone"]) > 3 else "")
            console().print(
                f"[yellow]{row['decision_id']}[/] applies {row['applies'].replace('no', 'no longer')}: "
                f"{len(row['gone'])} of its tracklets are not in the lake any more ({escape(names)})",
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
    show.print(f"[bold]{escape(result['identity_id'])}[/] ({result['class_group']})")
    columns = ["", "camera", "class", "from", "to", "travel s", "confidence", "tracklet"]
    keys = ["nth", "camera_id", "class", "started_at", "ended_at", "travel_s", "confidence", "tracklet_id"]
    show_rows(columns, ([one[key] for key in keys] for one in result["sightings"]))
    show.print("[bold]Merges[/]" if result["merges"] else "nothing was merged: this tracklet stands alone")
    for one in result["merges"]:
        alike = "" if one["similarity"] is None else f"similarity {one['similarity']:.3f}, "
        show.print(
            f"{escape(one['tracklet_a'])} + {escape(one['tracklet_b'])}: {escape(one['because'])} ({alike}probability "
            f"{one['probability']:.3f}, both sides {one['merge_probability']:.3f}, travel {one['travel_s']:.1f} s)",
            soft_wrap=True,
        )
    for one in result["decisions"]:
        said = f" by {one['by']}" if one["by"] else ""
        told = f"decided{said}: {one['decision_id']}{': ' + one['note'] if one['note'] else ''}"
        show.print(told, soft_wrap=True, markup=False)
    if result["nearest"]:
        show.print("[bold]Most alike of those not joined[/]")
        titles = ["similarity", "probability", "travel s", "camera", "identity", "why not"]
        names = ["similarity", "probability", "travel_s", "camera_id", "identity_id", "reason"]
        show_rows(titles, ([one[name] for name in names] for one in result["nearest"]))


def topology(result: dict) -> None:
    """Print proposed links, as YAML to review."""
    console().print(result["yaml"], end="", markup=False, highlight=False, soft_wrap=True)


def searched(result: dict) -> None:
    """Print search hits, best first; what was made of a picture, and what the answer lacks, on stderr."""
    picture = result["picture"]
    if picture is not None:
        of = f", a {picture['class']} at {picture['box']}" if picture["box"] else ""
        others = f"; {picture['others']} other objects in the picture" if picture["others"] else ""
        complain(f"{result['query']}: took {picture['taken']}{of}{others}")
    for note in result["notes"]:
        complain(note)
    show = console()
    if result["hits"]:
        columns = {
            "similarity": "similarity",
            "probability": "probability,\nby looks\nalone",
            "tracklet_id": "tracklet",
            "camera_id": "camera",
            "class": "class",
            "started_local": "from (local)",
        }
        own = set(result["query_identities"])
        rows = ([*(hit[key] for key in columns), _identity(hit["identity_id"], own)] for hit in result["hits"])
        show.print(grid([*columns.values(), "identity"], rows))
        same = any(hit["identity_id"] in own for hit in result["hits"])
        show.print(
            "Probability is what such a similarity was worth that night, before place and time are considered"
            + ("; (same) is of the query's own identity already." if same else "."),
            soft_wrap=True,
        )
    else:
        show.print(_nothing(result), soft_wrap=True, markup=False)
    if "html" in result:
        show.print(f"contact sheet: {shown(result['html'])}", soft_wrap=True)


def _identity(identity_id: str | None, own: set[str]) -> str | None:
    return f"{identity_id} (same)" if identity_id in own else identity_id


def _nothing(result: dict) -> str:
    """Say why a search found nothing, and when it could have."""
    first, last = result["dates"]
    has = f"the lake has {first}" if first == last else f"the lake has {first} to {last}"
    if result["searched"]:
        return f"nothing found among {result['searched']} tracklets; {has}"
    filters = "; ".join(f"{name} {value}" for name, value in result["filters"].items())
    if filters:
        return f"nothing found: no tracklet to compare with lies in the filter ({filters}); {has}"
    return f"nothing found: the lake has no other tracklet to compare with; {has}"


def erased(result: dict) -> None:
    """Print where somebody was in a lake, what was removed, and what was found when all of it was read again."""
    show = console()
    titles = ["place", "to remove"] if result["dry_run"] else ["place", "removed", "found afterwards"]
    keys = ["place", "to_remove"] if result["dry_run"] else ["place", "removed", "found"]
    show.print(grid(titles, ([row[key] for key in keys] for row in result["places"])))
    nights = f"{result['tracklets']} tracklet(s), {len(result['nights'])} night(s)"
    what = f"{result['kind']} {escape(result['of'])}: {nights}"
    if result["earlier"] == "begun":
        show.print("an earlier erasure of it was cut short; this one completes it")
    elif result["earlier"] == "done":
        show.print("it was erased before")
    if result["dry_run"]:
        show.print(f"{what}; nothing was changed", soft_wrap=True)
    elif result["clean"]:
        left = f"the whole lake was read again, and nothing of that {result['kind']} is left"
        show.print(f"{what} erased; {left}", soft_wrap=True)
    else:
        show.print("[red]something is left[/]; run it again, and report it if it stays", soft_wrap=True)
