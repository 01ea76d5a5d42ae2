"""Print the lowest version that pyproject.toml allows of every direct dependency, as constraints for pip.

torch keeps the version of constraints.txt: its older builds for a CPU alone lie on an index of their own.
"""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UNTESTED = {"defects", "dev", "docs", "gpaw", "mp"}
"""Extras that are not installed at their lowest versions."""

project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
tested = [needs for extra, needs in project["optional-dependencies"].items() if extra not in UNTESTED]
for requirement in sorted({one for needs in (project["dependencies"], *tested) for one in needs}):
    name, floor = re.fullmatch(r"([\w.-]+)>=([\w.]+).*", requirement).groups()
    if name != "torch":
        print(f"{name}=={floor}")
print(re.search(r"^torch==.*$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)[0])
