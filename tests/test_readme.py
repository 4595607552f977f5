"""What README says can be typed exists, and its picture is there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.conftest import nightfleet

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCS = {path: path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))}
COMMANDS = sorted(
    set(re.findall(r"nightfleet ((?:evaluate|report|bench) [a-z]+|[a-z]+)(?=[ `\n|\\])", "\n".join(DOCS.values())))
)


def test_readme_names_the_commands():
    assert {
        "demo",
        "init",
        "check",
        "run",
        "status",
        "sql",
        "search",
        "report traffic",
        "bench pipeline",
        "retrack",
    } <= set(COMMANDS)


@pytest.mark.parametrize("command", [c for c in COMMANDS if c not in ("turns", "runs")])
def test_a_command_in_readme_exists(command):
    assert nightfleet(*shlex.split(command), "--help").returncode == 0, command


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_linked_and_named_files_exist(path):
    linked = re.findall(r"\]\(([^)#]+?)\)", DOCS[path])
    assert all((path.parent / link).exists() for link in linked), linked
    named = re.findall(r"`((?:configs|docs|infra|jobs|notebooks|pipeline|tests)/[\w./-]+)`", DOCS[path])
    assert all((ROOT / name).exists() for name in named), named


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`make (\w+)`", README))))
def test_a_make_target_in_readme_exists(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
