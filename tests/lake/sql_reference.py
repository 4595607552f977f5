"""The reference in docs/sql.md, from the catalogue itself: `python -m tests.lake.sql_reference` writes it anew."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from pipeline.lake import catalog, laying
from pipeline.lake.contents import Content, contents
from pipeline.lake.writer import Lake

DOCUMENT = Path(__file__).parents[2] / "docs" / "sql.md"
MARKER = "<!-- reference -->\n"

_KINDS = {
    "table": "### Tables\n\nParquet files of the lake; `date` and `camera` are their folders.\n",
    "view": "### Views\n",
    "macro": "### Macros\n\nCalled with arguments, like a function, where a table may stand.\n",
    "function": "### Functions\n",
}


def reference() -> str:
    """Return the reference as Markdown."""
    with (
        tempfile.TemporaryDirectory() as folder,
        catalog.connect(Lake.open_or_create(f"{folder}/lake").url) as connection,
    ):
        known = contents(connection)
    parts = []
    for kind, heading in _KINDS.items():
        parts.append(heading)
        parts += [_entry(content) for content in known if content.kind == kind]
    return "\n".join(parts)


def documented(text: str) -> dict[str, list[tuple[str, str]]]:
    """Return the columns, with their types, of every entry of a reference."""
    found = {}
    for entry in text.split("\n#### ")[1:]:
        name = re.match(r"`(\w+)", entry)[1]
        found[name] = re.findall(r"^\| (\w+) \| ([^|]+) \|", entry, re.MULTILINE)[1:]
    return found


def _entry(content: Content) -> str:
    lines = [f"#### `{content.call}`\n", f"{content.about[0].upper()}{content.about[1:]}.\n"]
    if content.kind in ("view", "macro"):
        lines.append(f"{_columns_in_words(content.name)}\n")
    if content.columns:
        with_notes = bool(content.notes)
        lines.append("| column | type | meaning |\n|---|---|---|" if with_notes else "| column | type |\n|---|---|")
        for name, kind in content.columns:
            note = f" {content.notes.get(name) or 'the folder'} |" if with_notes else ""
            lines.append(f"| {name} | {kind} |{note}")
        lines.append("")
    return "\n".join(lines)


def _columns_in_words(name: str) -> str:
    """Return what the head of the .sql file says from its columns on."""
    head = [line for line in laying.sql_text(name).splitlines() if line.startswith("--")]
    said = "\n".join(line.removeprefix("--").strip() for line in head).partition("Columns:")[2]
    paragraphs = [" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", said)]
    return "Columns: " + "\n\n".join(paragraphs)


if __name__ == "__main__":
    before = DOCUMENT.read_text(encoding="utf-8").partition(MARKER)[0]
    DOCUMENT.write_text(before + MARKER + "\n" + reference(), encoding="utf-8")
