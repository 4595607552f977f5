"""`nightfleet sql` without a query: a prompt on a terminal, statements one after another from anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import typer

from jobs import printing
from jobs.sql_prompt import Prompt
from pipeline.errors import NightfleetError, UserError

_PRINTABLE = ("table", "csv", "json")


def answer(lake: str, *, form: str, out: Path | None, time_zone: str | None) -> int:
    """Answer statements until there are no more; return the exit code, 2 where one read from a file went wrong."""
    if out is not None or form not in _PRINTABLE:
        raise UserError(f"--out and --format {form} are for one SELECT; give it after the lake, in quotes")
    on_terminal = sys.stdin.isatty()
    with Prompt(lake, time_zone=time_zone) as prompt:
        if on_terminal:
            typer.echo(f"{lake}, read-only; .help says what can be asked")
        lines = _typed(prompt) if on_terminal else iter(sys.stdin)
        n_wrong = 0
        for line in lines:
            n_wrong += _shown(prompt.read(line), form)
            if prompt.closed:
                break
        else:
            n_wrong += _shown(prompt.end(), form)
    return 2 if n_wrong and not on_terminal else 0


def _typed(prompt: Prompt) -> Iterator[str]:
    """Return lines as they are typed, with history; Ctrl-C drops what has begun, Ctrl-D ends."""
    with suppress(ImportError):
        import readline  # noqa: F401  (input() then edits lines and remembers them)
    while True:
        try:
            yield input("    ...> " if prompt.is_continued else "lake> ") + "\n"
        except KeyboardInterrupt:
            prompt.forget()
            typer.echo("")
        except EOFError:
            typer.echo("")
            return


def _shown(answers: list[pa.Table | str | NightfleetError], form: str) -> int:
    """Print answers in order; return how many were none."""
    for given in answers:
        if isinstance(given, NightfleetError):
            printing.complain(str(given))
        elif isinstance(given, str):
            typer.echo(given, nl=bool(given))
        else:
            printing.table(given, form, None)
        sys.stdout.flush()
    return sum(isinstance(given, NightfleetError) for given in answers)
