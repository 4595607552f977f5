"""The exceptions nightfleet raises on purpose.

NightfleetError
├── UserError               the user can mend it: exit code 2, one sentence, no traceback
│   ├── ConfigError         fleet.yaml or a command-line value
│   ├── WeightsError        a weights file that is missing, or of another model
│   ├── LakeError           a lake that is missing, newer than this program, or damaged
│   └── TruthError          ground truth that cannot be read
└── SegmentError            one segment cannot be processed: it is quarantined with this reason, the fleet goes on
"""

from __future__ import annotations


class NightfleetError(Exception):
    """Root of everything nightfleet raises on purpose."""


class UserError(NightfleetError):
    """Something the user can mend. The message says what, where, expected, got and what to do."""


class ConfigError(UserError):
    """A configuration that is contradictory, incomplete or misspelt."""


class WeightsError(UserError):
    """A weights file that is missing, unreadable or made for another model."""


class LakeError(UserError):
    """A lake that is missing, damaged, or written by a newer nightfleet."""


class TruthError(UserError):
    """Ground truth or predictions that cannot be read as the format they claim."""


class SegmentError(NightfleetError):
    """One segment of footage cannot be processed; its reason is kept in the ledger."""
