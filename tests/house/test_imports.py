"""The rooms depend on one another in one direction only, and modules stay small enough to read.

Imports are parsed, not executed, so an import inside a function counts too, and so does one under
``TYPE_CHECKING``: a room that names another room's types knows that room, whatever happens at run time.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "definet_flows"
MODULES = sorted(PACKAGE.rglob("*.py"))

RANK = {
    "errors": 0,
    "settings": 1,
    "defects": 2,
    "definet": 3,
    "engines": 3,
    "records": 4,
    "training": 5,
    "jobs": 6,
    "flows": 7,
    "launch": 8,
    "analysis": 9,
    "cli": 10,
}
# Rooms kept narrower than their rank allows.
ONLY = {"analysis": {"errors", "settings", "defects", "records"}}

# What a room may never import, so that it can be used without the packages of the rooms above it.
WORKFLOW_PACKAGES = {"jobflow", "maggma", "atomate2", "fireworks", "montydb", "typer", "rich"}
BANNED = {
    "defects": WORKFLOW_PACKAGES | {"torch"},
    "definet": WORKFLOW_PACKAGES,
    "engines": WORKFLOW_PACKAGES,
    "training": WORKFLOW_PACKAGES - {"maggma"},
    "records": {"fireworks", "torch", "typer", "rich"},
    "jobs": {"fireworks", "typer", "rich"},
    "flows": {"fireworks", "typer", "rich"},
    "analysis": {"jobflow", "fireworks", "torch", "typer", "rich"},
}
# The workflow face of a room, written for those packages on purpose.
WORKFLOW_FACE = {f"engines/vasp/{module}.py" for module in ("inputs/sets", "running/command", "running/launching")}

MAX_MODULE_LINES = 400


def imported_modules(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            if node.module == "definet_flows":
                yield from (f"definet_flows.{alias.name}" for alias in node.names)


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def rooms_imported(path: Path) -> set[str]:
    names = {name.split(".")[1] for name in imported_modules(path) if name.startswith("definet_flows.")}
    return {name for name in names if name in RANK}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_rooms_below_it(path):
    room = room_of(path)
    if room == "__init__":
        assert not rooms_imported(path), "the package itself imports no room"
        return
    assert room in RANK, f"{room} has no place in the order of the rooms"
    allowed = ONLY.get(room, {name for name, rank in RANK.items() if rank < RANK[room]}) | {room}
    assert rooms_imported(path) <= allowed


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_stays_clear_of_the_packages_above_it(path):
    if str(path.relative_to(PACKAGE)) in WORKFLOW_FACE:
        return
    packages = {name.split(".")[0] for name in imported_modules(path)}
    assert not packages & BANNED.get(room_of(path), set())


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_stay_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) < MAX_MODULE_LINES


def test_campaigns_are_read_and_handed_out_without_torch():
    """Which takes seconds to import, for each command and each job of a cluster, most of which have no use for it."""
    code = "import sys, definet_flows.launch.local, definet_flows.cli.app; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=False).returncode == 0


def test_no_module_is_named_after_nothing():
    assert not {"utils", "util", "helpers", "misc", "common"} & {path.stem for path in MODULES}


def test_every_third_party_import_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirements = project["dependencies"] + [r for extra in project["optional-dependencies"].values() for r in extra]
    declared = {normalised(re.match(r"[\w.-]+", requirement)[0]) for requirement in requirements}
    known = packages_distributions()
    imported = {name.split(".")[0] for path in MODULES for name in imported_modules(path)}
    for package in imported - sys.stdlib_module_names - {"definet_flows"}:
        distributions = {normalised(name) for name in known.get(package, [package])}
        assert distributions & declared, f"{package} is imported but not declared in pyproject.toml"


def test_every_core_dependency_is_imported():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {normalised(re.match(r"[\w.-]+", requirement)[0]) for requirement in project["dependencies"]}
    known = packages_distributions()
    imported = {name.split(".")[0] for path in MODULES for name in imported_modules(path)}
    used = {normalised(name) for package in imported for name in known.get(package, ())}
    assert declared <= used, f"declared but not imported: {sorted(declared - used)}"


def normalised(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def test_every_direct_dependency_is_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirements = project["dependencies"] + [r for extra in project["optional-dependencies"].values() for r in extra]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {normalised(line.split("==")[0]) for line in lines if "==" in line}
    assert {normalised(re.match(r"[\w.-]+", requirement)[0]) for requirement in requirements} <= pinned
