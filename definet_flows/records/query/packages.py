"""Packages that only some answers need."""

from __future__ import annotations

import importlib
from types import ModuleType

from definet_flows.errors import InputError

EXTRA = "query"


def needed(package: str, purpose: str) -> ModuleType:
    """Import a package of the extra `EXTRA`.

    Parameters
    ----------
    package
        Its name.
    purpose
        What needs it, for the message.

    Raises
    ------
    InputError
        If it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise InputError(f"{purpose} need the package {package}: pip install 'definet-flows[{EXTRA}]'.") from error
