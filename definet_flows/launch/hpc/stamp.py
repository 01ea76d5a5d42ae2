"""Which versions a launchpad was filled with: jobs written by one version are not for another to run."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from pymongo.database import Database

from definet_flows.errors import DefinetFlowsError

LAUNCHPAD_SCHEMA = 1
"""Raised when jobs written before can no longer be run."""

COLLECTION = "definet_flows"
KEY = "launchpad"
STAMPED = ("fireworks", "jobflow")

Launchpad = Database[dict[str, Any]]


class LaunchpadVersionError(DefinetFlowsError):
    """A launchpad was filled by other versions; the message names both."""


def put_stamp(launchpad: Launchpad) -> None:
    """Note this installation's versions in a launchpad that has none noted; one that has keeps them.

    Parameters
    ----------
    launchpad
        The launchpad's database (``LaunchPad.db``).
    """
    launchpad[COLLECTION].update_one({"_id": KEY}, {"$setOnInsert": _own_stamp()}, upsert=True)


def stamp_of(launchpad: Launchpad) -> dict[str, Any] | None:
    """The versions noted in a launchpad; None where there are none."""
    return launchpad[COLLECTION].find_one({"_id": KEY}, {"_id": 0})


def check_stamp(launchpad: Launchpad) -> None:
    """See that a launchpad's jobs were written by versions like ours.

    Raises
    ------
    LaunchpadVersionError
        If the major or minor version of FireWorks or jobflow, or our schema, is another one.
    """
    stamp = stamp_of(launchpad)
    if stamp is None:
        return
    ours = _own_stamp()
    differing = [name for name in ours if _minor(stamp.get(name)) != _minor(ours[name])]
    if differing:
        told = ", ".join(f"{_called(name)} {stamp.get(name, 'unknown')} (here {ours[name]})" for name in differing)
        raise LaunchpadVersionError(
            f"The launchpad {launchpad.name} was filled with {told}: finish it with those versions, or name another database in "
            "my_launchpad.yaml."
        )


def _own_stamp() -> dict[str, Any]:
    return {"schema_version": LAUNCHPAD_SCHEMA} | {package: version(package) for package in STAMPED}


def _minor(number: Any) -> list[str]:
    return str(number).split(".")[:2]


def _called(name: str) -> str:
    return "definet-flows' launchpad schema" if name == "schema_version" else name
