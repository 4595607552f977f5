"""The lake: a folder of Parquet files that readers see whole units of, whatever was killed while writing."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pyarrow as pa

from pipeline.config import FleetConfig, TrackerConfig, digest
from pipeline.errors import LakeError
from pipeline.lake import fleet, ledger, ledger_summary, schema, tables
from pipeline.lake.ledger import LedgerEntry
from pipeline.lake.storage import Storage, open_storage
from pipeline.types import Exemplars, Observations, Tracklets

MARKER = "_nightfleet.json"
"""The file that makes a folder a lake."""

CONFIG = "_fleet.json"
"""The configuration of the last run, as it was checked: among others, what a search must embed pictures with."""

_FORMAT = "nightfleet-lake"
_LEDGER_PATH = re.compile(r"ledger/date=([^/]+)/camera=[^/]+/[^/]+\.parquet")
READERS = 8
"""Files read at once: small files are all waiting, on a disk as on an object store."""


class Lake:
    """A lake open for reading and writing. Several processes may write different units of one lake at once."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    @classmethod
    def open(cls, url: str) -> Lake:
        """Open a lake. Raises LakeError where there is none, or one of a newer schema."""
        storage = open_storage(url)
        marker = storage.read(MARKER)
        if marker is None:
            raise LakeError(
                f"{storage.url}: not a lake (it has no {MARKER}); give the folder that a fleet.yaml names as `lake:`, "
                "or make one with `nightfleet run`"
            )
        _check_marker(marker, storage.url)
        return cls(storage)

    @classmethod
    def exists(cls, url: str) -> bool:
        """Tell whether there is a lake, of whatever version."""
        return open_storage(url).read(MARKER) is not None

    @classmethod
    def open_or_create(cls, url: str) -> Lake:
        """Open a lake, or make one where the folder is missing or empty. Safe in several processes at once.

        Raises LakeError where the folder holds something else, or a lake of a newer schema.
        """
        storage = open_storage(url)
        try:
            # The marker is looked for again after the listing: another process may have made the lake in between.
            if storage.read(MARKER) is None and storage.names() and storage.read(MARKER) is None:
                raise LakeError(
                    f"{storage.url}: this folder is not empty and not a lake; name an empty or a new folder as `lake:`"
                )
            if storage.read(MARKER) is None:
                content = {"format": _FORMAT, "schema_version": schema.SCHEMA_VERSION}
                storage.write(MARKER, json.dumps(content).encode() + b"\n")
        except OSError as error:
            reason = error.strerror or error
            raise LakeError(f"{storage.url}: a lake cannot be made here: {reason}; name a folder that can") from None
        return cls.open(url)

    @property
    def url(self) -> str:
        """Folder or URL of the lake."""
        return self.storage.url

    # -- units of work ------------------------------------------------------------------------------------------------

    def write_unit(
        self,
        entry: LedgerEntry,
        local_date: str,
        observations: Observations,
        tracklets: Tracklets,
        exemplars: Exemplars,
        state_out: bytes | None,
        thumbnails: pa.Table | None = None,
    ) -> LedgerEntry:
        """Write all of one unit in place of whatever an earlier run left of it, and return the entry as entered.

        The old ledger entry goes first and the new one comes last, so at no instant does a reader who follows the
        ledger see half a unit. Row counts and `write_s` of the entry are set here. `thumbnails` are those that an
        earlier run made and that are true of these rows too; others go.
        """
        began = time.perf_counter()
        camera_id, segment_id = entry.camera_id, entry.segment_id
        contents = {
            "observations": tables.to_parquet(tables.observations_table(camera_id, observations)),
            "tracklets": tables.to_parquet(tables.tracklets_table(camera_id, segment_id, tracklets)),
            "embeddings": tables.to_parquet(tables.embeddings_table(camera_id, exemplars)),
        }
        self.withdraw(camera_id, local_date, segment_id)
        for table, content in contents.items():
            self.storage.write(unit_path(table, local_date, camera_id, segment_id), content)
        if state_out is None:
            self.storage.remove(_state_path(camera_id, segment_id))
        else:
            self.storage.write(_state_path(camera_id, segment_id), state_out)
        pictures = unit_path("thumbnails", local_date, camera_id, segment_id)
        if thumbnails is None:
            self.storage.remove(pictures)
        else:
            self.storage.write(pictures, tables.to_parquet(thumbnails))
        entry = replace(
            entry,
            local_date=local_date,
            observations=len(observations),
            tracklets=len(tracklets),
            embeddings=len(exemplars),
            write_s=time.perf_counter() - began,
        )
        self._enter(entry)
        return entry

    def write_quarantine(self, entry: LedgerEntry, local_date: str) -> LedgerEntry:
        """Enter a unit that gave no rows, removing those an earlier run left; returns the entry as entered."""
        self.remove_unit(entry.camera_id, local_date, entry.segment_id)
        entry = replace(entry, local_date=local_date, observations=0, tracklets=0, embeddings=0)
        self._enter(entry)
        return entry

    def remove_unit(self, camera_id: str, local_date: str, segment_id: str) -> None:
        """Remove all of a unit: its ledger entry first, then rows, state, kept detections and thumbnails."""
        self.withdraw(camera_id, local_date, segment_id)
        for table in (*schema.PER_SEGMENT, *schema.KEPT, *schema.PICTURED):
            self.storage.remove(unit_path(table, local_date, camera_id, segment_id))
        self.storage.remove(_state_path(camera_id, segment_id))
        self.storage.remove(_motion_path(camera_id, segment_id))

    def state(self, camera_id: str, segment_id: str) -> bytes | None:
        """Return the tracker's state after a unit, or None where none was kept."""
        return self.storage.read(_state_path(camera_id, segment_id))

    def write_state(self, camera_id: str, segment_id: str, state: bytes) -> None:
        """Write the state after a unit in place of the one there."""
        self.storage.write(_state_path(camera_id, segment_id), state)

    def write_motion(self, camera_id: str, segment_id: str, motion: bytes) -> None:
        """Keep where a moving camera's picture had come to at the end of a segment, for the segment after it."""
        self.storage.write(_motion_path(camera_id, segment_id), motion)

    def motion(self, camera_id: str, segment_id: str) -> bytes | None:
        """Return what `write_motion` kept of a segment, or None."""
        return self.storage.read(_motion_path(camera_id, segment_id))

    def ledger(self) -> list[LedgerEntry]:
        """Return every entry, by camera and start (see ledger.from_table)."""
        table, dates, _, _ = self._whole_ledger()
        return ledger.from_table(table, dates)

    def summarise_ledger(self) -> None:
        """Put the ledger's entries into one file too, so that it is read fast, if there are many."""
        table, dates, paths, stamps = self._whole_ledger()
        known = ledger_summary.read(self.storage, stamps)
        if len(paths) > ledger_summary.FEW and (known is None or sorted(known[2]) != sorted(paths)):
            ledger_summary.write(self.storage, table, dates, paths, stamps)

    def _whole_ledger(self) -> tuple[pa.Table, list[str], list[str], dict[str, str]]:
        """Return all entries as a table, their dates and files, and the stamps of the ledger's files."""
        stamps = self.storage.stamps("ledger", ".parquet")
        known = ledger_summary.read(self.storage, stamps)
        table, dates, paths = known or (schema.LEDGER.empty_table(), [], [])
        read = self._read(sorted(stamps.keys() - set(paths)))
        parts = [table, *(ledger.completed(part) for _, part in read)]
        new = [path for path, part in read for _ in range(len(part))]
        return pa.concat_tables(parts), [*dates, *map(_date_of, new)], [*paths, *new], stamps

    def camera_ledger(self, camera_id: str, local_dates: Sequence[str]) -> list[LedgerEntry]:
        """Return one camera's entries of some dates, by start."""
        folders = [f"ledger/date={day}/camera={camera_id}" for day in local_dates]
        return self._entries([path for folder in folders for path in self.storage.files(folder, ".parquet")])

    def entry(self, camera_id: str, local_date: str, segment_id: str) -> LedgerEntry | None:
        """Return a unit's entry, or None where it is not entered."""
        found = self._entries([unit_path("ledger", local_date, camera_id, segment_id)])
        return found[0] if found else None

    def amend(self, entry: LedgerEntry) -> None:
        """Write an entry in place of itself: of a unit whose row counts changed though it was not made anew."""
        self._enter(entry)

    def read_unit(self, entry: LedgerEntry) -> tuple[Observations, Tracklets, Exemplars]:
        """Return the rows of an entered unit, sorted as their structs say. Raises LakeError where a file is missing."""
        paths = [unit_path(name, entry.local_date, entry.camera_id, entry.segment_id) for name in schema.PER_SEGMENT]
        (_, boxes), (_, tracklets), (_, exemplars) = self._read(paths, self._missing)
        return tables.to_observations(boxes), tables.to_tracklets(tracklets)[0], tables.to_exemplars(exemplars)

    def read_observations(self, entry: LedgerEntry) -> Observations:
        """Return the boxes that an entered unit wrote. Raises LakeError where the file is missing."""
        path = unit_path("observations", entry.local_date, entry.camera_id, entry.segment_id)
        return tables.to_observations(self._read([path], self._missing)[0][1])

    def withdraw(self, camera_id: str, local_date: str, segment_id: str) -> None:
        """Remove the unit's ledger entry, so that nobody sees its rows, and all it has in a neighbouring date.

        A segment's id holds its start in UTC, so a changed time zone moves it by one date at most.
        """
        day = date.fromisoformat(local_date)
        self.storage.remove(unit_path("ledger", local_date, camera_id, segment_id))
        for neighbour in (day - timedelta(days=1), day + timedelta(days=1)):
            for table in ("ledger", *schema.PER_SEGMENT, *schema.KEPT, *schema.PICTURED):
                self.storage.remove(unit_path(table, neighbour.isoformat(), camera_id, segment_id))

    def _enter(self, entry: LedgerEntry) -> None:
        path = unit_path("ledger", entry.local_date, entry.camera_id, entry.segment_id)
        self.storage.write(path, tables.to_plain_parquet(ledger.to_table([entry])))

    def _entries(self, paths: list[str]) -> list[LedgerEntry]:
        read = self._read(paths)
        if not read:
            return []
        dates = [_date_of(path) for path, table in read for _ in range(len(table))]
        return ledger.from_table(pa.concat_tables([ledger.completed(table) for _, table in read]), dates)

    # -- identities and the fleet -------------------------------------------------------------------------------------

    def dates(self) -> list[str]:
        """Return the local dates of which units are entered, ascending."""
        dates = (name.removeprefix("date=") for name in self.storage.names("ledger") if name.startswith("date="))
        return sorted(day for day in dates if self.storage.files(f"ledger/date={day}", ".parquet"))

    def read_tracklets(self, local_date: str) -> tuple[Tracklets, np.ndarray]:
        """Return a date's tracklets, sorted by tracklet_id, and their camera ids (N,); entered units only."""
        return tables.to_tracklets(self._read_rows("tracklets", local_date))

    def read_exemplars(self, local_date: str) -> Exemplars:
        """Return a date's exemplars, sorted by (tracklet_id, captured_at); entered units only."""
        return tables.to_exemplars(self._read_rows("embeddings", local_date))

    def read_units(self, entries: Sequence[LedgerEntry]) -> tuple[Tracklets, np.ndarray, Exemplars]:
        """Return the tracklets of these units, sorted by tracklet_id, their camera ids (N,), and the exemplars."""
        tracklets, camera_id = tables.to_tracklets(self._read_units("tracklets", entries))
        return tracklets, camera_id, tables.to_exemplars(self._read_units("embeddings", entries))

    def write_identities(
        self, local_date: str, tracklet_id: np.ndarray, identity_id: np.ndarray, confidence: np.ndarray, run_id: str
    ) -> None:
        """Write a date's identities, (N,) object, (N,) object, (N,) float32, in place of those of an earlier run."""
        table = tables.identities_table(tracklet_id, identity_id, confidence, run_id)
        self.storage.write(_identities_path(local_date), tables.to_parquet(table))

    def write_fleet(self, config: FleetConfig) -> None:
        """Write the configuration, and the tables of cameras, lines and zones, in place of earlier ones.

        Tracker settings stay, for the states made with them: those given, and those of the run before (an older
        nightfleet did not write them by themselves).
        """
        for tracker in (self._last_tracker(), config.tracker):
            if tracker is not None and self.read_tracker(digest(tracker)) is None:
                self.storage.write(_tracker_path(digest(tracker)), tracker.model_dump_json(indent=1).encode() + b"\n")
        self.storage.write(CONFIG, config.model_dump_json(indent=1).encode() + b"\n")
        for name, table in fleet.fleet_tables(config).items():
            self.storage.write(f"{name}/{name}.parquet", tables.to_parquet(table))

    def read_config(self) -> FleetConfig:
        """Return the configuration of the last run. Raises LakeError where there is none this program can read."""
        content = self.storage.read(CONFIG)
        if content is None:
            raise LakeError(f"{self.url}: nothing was run on this lake yet; run `nightfleet run` first")
        try:
            return FleetConfig.model_validate_json(content)
        except ValueError:
            raise LakeError(
                f"{self.url}: {CONFIG} is not a configuration of this nightfleet; renew it by `nightfleet run`"
            ) from None

    def read_tracker(self, settings: str) -> TrackerConfig | None:
        """Return the tracker settings of this digest that some run had, or None where this program knows none such."""
        content = self.storage.read(_tracker_path(settings))
        try:
            tracker = None if content is None else TrackerConfig.model_validate_json(content)
        except ValueError:
            return None
        return tracker if tracker is not None and digest(tracker) == settings else None

    def _last_tracker(self) -> TrackerConfig | None:
        """Return the tracker settings of the last run, or None where this program cannot read them."""
        try:
            return self.read_config().tracker
        except LakeError:
            return None

    def clean(self) -> None:
        """Remove temporary files that a killed run left. They are invisible to readers, but take room."""
        self.storage.clean()

    def _read_rows(self, name: str, local_date: str) -> pa.Table:
        """Read one date of a per-segment table, those units only that are entered."""
        return self._read_units(name, self._entries(self.storage.files(f"ledger/date={local_date}", ".parquet")))

    def _read_units(self, name: str, entered: Sequence[LedgerEntry]) -> pa.Table:
        """Read a per-segment table of some units."""
        paths = [
            unit_path(name, entry.local_date, entry.camera_id, entry.segment_id)
            for entry in entered
            if getattr(entry, name) > 0
        ]
        read = self._read(paths, self._missing)
        return pa.concat_tables([schema.TABLES[name].empty_table(), *(table for _, table in read)])

    def _missing(self, path: str) -> None:
        raise LakeError(
            f"{self.storage.location(path)}: the ledger lists this file, but it is missing; remove the ledger's file "
            "of the same name and run again"
        )

    def _read(
        self, paths: Sequence[str], on_missing: Callable[[str], None] = lambda path: None
    ) -> list[tuple[str, pa.Table]]:
        """Read files side by side, in the order given; one that vanished is left out after `on_missing`."""
        with ThreadPoolExecutor(READERS) as pool:
            contents = list(pool.map(self.storage.read, paths))
        found = []
        # Parsed one after another: a small file's parse holds the interpreter, and threads would only fight for it.
        for path, content in zip(paths, contents):
            if content is None:
                on_missing(path)
            else:
                found.append((path, tables.from_parquet(content, self.storage.location(path))))
        return found


def unit_location(lake: Lake, table: str, entry: LedgerEntry) -> str:
    """Return the full path or URL of a unit's file of one table."""
    return lake.storage.location(unit_path(table, entry.local_date, entry.camera_id, entry.segment_id))


def unit_path(table: str, local_date: str, camera_id: str, segment_id: str) -> str:
    """Return the path below the lake of a unit's file of one table."""
    return f"{table}/date={local_date}/camera={camera_id}/{segment_id}.parquet"


def _date_of(path: str) -> str:
    """Return the local date in the path of a ledger's file."""
    return _LEDGER_PATH.fullmatch(path)[1]


def _state_path(camera_id: str, segment_id: str) -> str:
    return f"_state/camera={camera_id}/{segment_id}.state"


def _motion_path(camera_id: str, segment_id: str) -> str:
    return f"_state/camera={camera_id}/{segment_id}.motion"


def _tracker_path(settings: str) -> str:
    return f"_trackers/{settings}.json"


def _identities_path(local_date: str) -> str:
    return f"identities/date={local_date}/identities.parquet"


def _check_marker(content: bytes, url: str) -> None:
    """Refuse a marker that is none, or of a schema newer than this program's."""
    try:
        marker = json.loads(content)
        version = marker["schema_version"] if marker["format"] == _FORMAT else None
    except (ValueError, KeyError, TypeError):
        version = None
    if not isinstance(version, int):
        raise LakeError(f"{url}: {MARKER} is not a nightfleet lake's; expected a format and a schema version in it")
    if version > schema.SCHEMA_VERSION:
        raise LakeError(
            f"{url}: this lake has schema version {version}, and this nightfleet knows versions up to "
            f"{schema.SCHEMA_VERSION}; upgrade nightfleet, or name another folder as `lake:`"
        )
