"""Whether the installed packages are ones that work, and work together."""

from __future__ import annotations

import operator
import platform
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from definet_flows.launch.doctor.findings import Finding, Subject, failed, not_set_up, passed, warned

ALWAYS = ("torch", "pymatgen", "jobflow", "maggma", "pymongo")
BY_EXTRA = {"vasp": ("atomate2", "custodian"), "fireworks": ("fireworks", "monty")}
_REQUIREMENT = re.compile(r"([\w.-]+?)\s*((?:[<>=!~]=?\s*[\w.]+,?\s*)*)(?:;|$)")
_BOUND = re.compile(r"(>=|<=|<|>)\s*([\w.]+)")
_COMPARE = {">=": operator.ge, "<=": operator.le, "<": operator.lt, ">": operator.gt}


def check(_subject: Subject) -> Iterator[Finding]:
    """Python, the packages a campaign needs, and combinations that are known to fail."""
    yield passed("python", platform.python_version())
    for package in ALWAYS:
        yield _package(package, None)
    for extra, packages in BY_EXTRA.items():
        for package in packages:
            yield _package(package, extra)
    if (remote := installed("jobflow-remote")) and release(installed("pymongo") or "0") >= (4, 11):
        yield warned(
            "jobflow-remote",
            f"{remote} is installed beside pymongo {installed('pymongo')}, which it does not work with",
            "FireWorks needs no jobflow-remote: pip uninstall jobflow-remote",
        )


def installed(package: str) -> str | None:
    """Version of an installed package; None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def release(number: str) -> tuple[int, ...]:
    """The numbers at the beginning of a version, for comparison."""
    return tuple(int(part) for part in re.findall(r"\d+", number.partition("+")[0])[:3])


def _package(package: str, extra: str | None) -> Finding:
    found = installed(package)
    if found is None:
        if extra:
            return not_set_up(package, f"pip install 'definet-flows[{extra}]'")
        return failed(package, "is not installed", "pip install definet-flows")
    bounds = _bounds(package)
    if all(_COMPARE[sign](release(found), release(bound)) for sign, bound in bounds):
        return passed(package, found)
    wanted = ",".join(f"{sign}{bound}" for sign, bound in bounds)
    return failed(package, f"{found} has not been tried and may fail", f"pip install '{package}{wanted}'")


def _bounds(package: str) -> list[tuple[str, str]]:
    """The versions that our own package metadata asks for."""
    for requirement in requires("definet-flows") or []:
        parsed = _REQUIREMENT.match(requirement)
        if parsed and parsed[1].lower() == package:
            return _BOUND.findall(parsed[2])
    return []
