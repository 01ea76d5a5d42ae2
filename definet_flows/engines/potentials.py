"""ML potentials by name and ASE calculators by import path, loaded once per process."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from definet_flows.errors import InputError

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator


@dataclass(frozen=True)
class _Named:
    """A potential whose weights come inside its package."""

    package: str
    path: str
    arguments: dict[str, Any]
    device_argument: str


_SEVENNET = "sevenn.calculator.SevenNetCalculator"
_NAMED = {
    "CHGNet": _Named(
        "chgnet", "definet_flows.engines.chgnet.ForcesOnDemand", {"on_isolated_atoms": "ignore"}, "use_device"
    ),
    "7net-0": _Named("sevenn", _SEVENNET, {"model": "7net-0"}, "device"),
    "7net-l3i5": _Named("sevenn", _SEVENNET, {"model": "7net-l3i5"}, "device"),
}

NAMED_POTENTIALS = tuple(_NAMED)
"""Potentials that are known by name."""


def load_potential(potential: str, arguments: dict[str, Any], device: str) -> Calculator:
    """The calculator of a potential, the same object at every call within a process.

    Parameters
    ----------
    potential
        ``CHGNet``, ``7net-0``, ``7net-l3i5``, or the import path of any ASE calculator class.
    arguments
        Keyword arguments of the calculator class.
    device
        ``cpu`` or ``cuda``; given to the named potentials only.

    Raises
    ------
    InputError
        If the package is not installed, the path names no calculator, or it does not start with its arguments and device.
    """
    return _load(potential, json.dumps(arguments, sort_keys=True), device)


@lru_cache(maxsize=2)
def _load(potential: str, arguments: str, device: str) -> Calculator:
    named = _named(potential)
    keywords = {**named.arguments, **json.loads(arguments)}
    if named.device_argument:
        keywords[named.device_argument] = device
    calculator_class = _import_class(potential, named)
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # CHGNet announces its device on every start
            calculator: Calculator = calculator_class(**keywords)
    except TypeError as error:
        raise InputError(f"Potential {potential} does not take the arguments {keywords}: {error}.") from error
    # The class is whichever the user named, and its constructor raises what it likes: torch an AssertionError for a device it was
    # not built for, ASE a BadConfiguration derived from Exception alone, a file name that is a number an AttributeError.
    except Exception as error:
        raise InputError(
            f"Potential {potential} does not start with {keywords} ({type(error).__name__}: {error}); "
            "change its device or arguments."
        ) from error
    if not hasattr(calculator, "calculate"):
        raise InputError(f"{named.path} is not an ASE calculator; give the import path of a calculator class.")
    return calculator


def _named(potential: str) -> _Named:
    """A known potential, or a calculator class by its import path."""
    return _NAMED.get(potential) or _Named(potential.partition(".")[0], potential, {}, "")


def _import_class(potential: str, named: _Named) -> Any:
    module, _, name = named.path.rpartition(".")
    if not module:
        raise InputError(
            f"There is no potential '{potential}'; choose {', '.join(_NAMED)}, or the import path of an ASE calculator."
        )
    try:
        return getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise InputError(
            f"Potential {potential} needs the package {named.package}: pip install {named.package} ({error})."
        ) from error
    except AttributeError as error:
        raise InputError(
            f"Module {module} has no calculator {name}; check the import path in the engine settings."
        ) from error


def potential_version(potential: str) -> str:
    """Package and version of a potential, with ASE's, for the record."""
    return package_versions(*dict.fromkeys((_named(potential).package, "ase")))


def package_versions(*packages: str) -> str:
    """Packages with their versions, for the record."""
    return ", ".join(f"{name} {_version(name)}" for name in packages)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
