"""A dialogue with a lake: lines of text in, answers out. It prints nothing and reads from nowhere."""

from __future__ import annotations

from types import TracebackType

import pyarrow as pa

from pipeline.errors import NightfleetError, UserError
from pipeline.lake import catalog
from pipeline.lake.contents import Content, contents

HELP = """\
Write a SELECT and end it with a semicolon; it may run over several lines.
.tables          what there is to select from
.schema NAME     its columns
.help            this
.quit            leave (so does Ctrl-D)"""


class Prompt:
    """A lake open for questions. Nothing but a SELECT is answered, and nothing outside the lake is read."""

    def __init__(self, lake_url: str, *, time_zone: str | None = None) -> None:
        self._connection = catalog.connect(lake_url, time_zone=time_zone)
        self._contents: list[Content] | None = None
        self._begun = ""
        self.closed = False

    def __enter__(self) -> Prompt:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._connection.close()

    @property
    def is_continued(self) -> bool:
        """Tell whether a statement has begun that is not ended yet."""
        return bool(self._begun.strip())

    def forget(self) -> None:
        """Drop the statement that has begun."""
        self._begun = ""

    def read(self, line: str) -> list[pa.Table | str | NightfleetError]:
        """Take one line; return the answers to what it ends: tables, text of a dot command, or what is wrong."""
        if not self.is_continued and line.strip().startswith("."):
            return [self._tried(lambda: self._command(line.split()))]
        statements, self._begun = catalog.statements(f"{self._begun}{line}\n")
        return [self._tried(lambda sql=sql: catalog.select(self._connection, sql)) for sql in statements]

    def end(self) -> list[pa.Table | str | NightfleetError]:
        """Return the answer to a last statement without a semicolon: there will be no more lines."""
        return self.read(";") if self.is_continued else []

    def _tried(self, answer) -> pa.Table | str | NightfleetError:
        try:
            return answer()
        except NightfleetError as error:
            return error

    def _command(self, words: list[str]) -> pa.Table | str:
        name, *arguments = words
        if name in (".quit", ".exit"):
            self.closed = True
            return ""
        if name == ".help":
            return HELP
        if self._contents is None:
            self._contents = contents(self._connection)
        if name == ".tables":
            rows = [{"name": c.call, "kind": c.kind, "about": c.about} for c in self._contents]
            return pa.Table.from_pylist(rows)
        if name == ".schema" and len(arguments) == 1:
            return _schema(self._contents, arguments[0].partition("(")[0])
        if name == ".schema":
            raise UserError("write .schema NAME, such as .schema crossings")
        raise UserError(f"there is no command {name}; .help lists those there are")


def _schema(known: list[Content], name: str) -> pa.Table:
    for content in known:
        if content.name == name:
            rows = [{"column": c, "type": t, "about": content.notes.get(c, "")} for c, t in content.columns]
            return pa.Table.from_pylist(rows, schema=pa.schema([(k, pa.string()) for k in ("column", "type", "about")]))
    raise UserError(f"there is nothing called {name} here; .tables lists what there is")
