"""`nightfleet identity`, `nightfleet explain` and `nightfleet topology`: parse, call a job and print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jobs import printing, printing_identity
from jobs.cli_options import Json, LakeUrl, checked_date

IdentityId = Annotated[str, typer.Argument(metavar="ID", help="Id of an identity.")]
By = Annotated[str, typer.Option("--by", help="Who decides; kept with the decision.")]
Note = Annotated[str, typer.Option("--note", help="Why; kept with the decision.")]

identity_app = typer.Typer(help="Say who is one and who is not; every later run respects it.", no_args_is_help=True)
explain_app = typer.Typer(help="Say why a result is what it is.", no_args_is_help=True)
topology_app = typer.Typer(help="How long the way between cameras takes.", no_args_is_help=True)


@topology_app.callback()
def _topology() -> None:
    """Hold the group: with one command alone Typer would drop its name."""


@topology_app.command(epilog="Example: `nightfleet topology learn lake --out links.yaml`")
def learn(
    lake: LakeUrl,
    night: Annotated[str | None, typer.Option(help="Only this local date, YYYY-MM-DD.")] = None,
    out: Annotated[Path | None, typer.Option(help="File for the links, as they would stand in a fleet.yaml.")] = None,
    as_json: Json = False,
) -> None:
    """Propose identity.links from the identities found so far, for review: travel windows, overlaps, one-way roads."""
    from jobs.topology import learn_topology

    result = learn_topology(lake, night=checked_date(night, "--night"), out=out)
    printing.emit(result, as_json, printing_identity.topology)


@identity_app.command(
    epilog="Example: `nightfleet identity merge lake id-5d0f8a1c2b3e4f60 id-91c2d3e4f5a6b7c8 --by Ada`"
)
def merge(
    lake: LakeUrl,
    id_a: Annotated[str, typer.Argument(metavar="ID_A", help="One identity.")],
    id_b: Annotated[str, typer.Argument(metavar="ID_B", help="The other.")],
    by: By = "",
    note: Note = "",
    as_json: Json = False,
) -> None:
    """Make two identities one; the one seen first keeps its id.

    Holds against travel windows and looks, and in every later run. Only two sightings in one camera at one instant
    can never be one.
    """
    from jobs.identity import merge as job

    printing.emit(job(lake, id_a, id_b, by=by, note=note), as_json, printing_identity.merged)


@identity_app.command(
    epilog="Example: `nightfleet identity split lake id-5d0f8a1c2b3e4f60 --tracklets gate-20260301T080000.000Z-7`"
)
def split(
    lake: LakeUrl,
    identity_id: IdentityId,
    tracklets: Annotated[str, typer.Option(help="The tracklets that are somebody else: T1,T2")],
    by: By = "",
    note: Note = "",
    as_json: Json = False,
) -> None:
    """Take tracklets out of an identity; together they become one of their own, and the rest keeps its id."""
    from jobs.identity import split as job

    names = [name.strip() for name in tracklets.split(",") if name.strip()]
    printing.emit(job(lake, identity_id, names, by=by, note=note), as_json, printing_identity.split)


@identity_app.command(epilog="Example: `nightfleet identity decisions lake`")
def decisions(lake: LakeUrl, as_json: Json = False) -> None:
    """List what was decided, by whom, and whether it still applies."""
    from jobs.identity import listed as job

    printing.emit(job(lake), as_json, printing_identity.decisions)


@identity_app.command(epilog="Example: `nightfleet identity undo lake merge-1a2b3c4d`")
def undo(
    lake: LakeUrl,
    decision_id: Annotated[str, typer.Argument(metavar="DECISION_ID", help="As `identity decisions` lists it.")],
    as_json: Json = False,
) -> None:
    """Take a decision back; the nights that it changed are linked again without it."""
    from jobs.identity import undo as job

    printing.emit(job(lake, decision_id), as_json, printing_identity.undone)


@explain_app.command("identity", epilog="Example: `nightfleet explain identity lake id-5d0f8a1c2b3e4f60`")
def explain_identity(lake: LakeUrl, identity_id: IdentityId, as_json: Json = False) -> None:
    """Show where an identity was seen, which merges made it, what was decided of it, and who was not joined and why."""
    from jobs.explain_identity import explain as job

    printing.emit(job(lake, identity_id), as_json, printing_identity.explained)
