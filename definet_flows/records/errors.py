"""What can go wrong with a results store."""

from __future__ import annotations

from definet_flows.errors import DefinetFlowsError, InputError


class StoreError(DefinetFlowsError):
    """A results store cannot be read or written just now, for example because the disk is full."""


class StoreInUseError(StoreError):
    """Another process is writing to the results store."""


class StoreContentError(InputError):
    """A folder holds no results store, or one that this version cannot read."""


class StoreAddressError(InputError):
    """The address of a database, or the file that holds it, cannot be used."""
