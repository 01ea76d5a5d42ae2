"""What a disk or a database reports, in one sentence that says what to do."""

from __future__ import annotations

import errno
import re
import sqlite3

from pymongo.errors import (
    ConfigurationError,
    ConnectionFailure,
    InvalidURI,
    OperationFailure,
    PyMongoError,
)

from definet_flows.errors import DefinetFlowsError
from definet_flows.records.errors import StoreAddressError, StoreError

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DATABASE_FULL = {14031}
_NOT_LET_IN = {13, 18, 8000}
"""MongoDB's codes for a command that needs a login, for a refused login, and Atlas' for the latter."""

STORE_FAILURES = (sqlite3.Error, OSError, PyMongoError)
"""What reading or writing a store can raise."""


def explained(location: str, error: Exception) -> DefinetFlowsError:
    """The failure of a store for its user.

    Parameters
    ----------
    location
        What the store is called, without a password.
    error
        One of `STORE_FAILURES`.
    """
    if isinstance(error, PyMongoError):
        return _of_database(location, error)
    if isinstance(error, OSError):
        return _of_disk(location, error.strerror or str(error), full=error.errno in _DISK_FULL)
    return _of_disk(location, str(error), full="full" in str(error))


def _of_disk(location: str, why: str, *, full: bool) -> StoreError:
    if full:
        return StoreError(f"The disk that holds {location} is full: free some space, then the same command goes on.")
    return StoreError(
        f"The results in {location} cannot be read or written ({why}): check the disk and the permissions there, "
        "then the same command goes on."
    )


def _of_database(location: str, error: PyMongoError) -> DefinetFlowsError:
    if isinstance(error, InvalidURI):
        # What pymongo says of it may quote a part of the password.
        return StoreAddressError(
            f"The address of {location} is not one of a MongoDB: write mongodb://USER:PASSWORD@HOST:27017/DATABASE, "
            "with the signs of a user or password that have a meaning there percent-encoded."
        )
    if isinstance(error, ConfigurationError):
        return StoreAddressError(f"The address of {location} cannot be used ({first_line(error)}).")
    if isinstance(error, ConnectionFailure):
        return StoreError(
            f"The database {location} does not answer ({first_line(error)}): check that it runs and can be reached "
            "from here, then the same command goes on."
        )
    if not_let_in(error):
        return StoreError(
            f"The database {location} does not let us in ({first_line(error)}): check the user, the password and "
            "what this user may do there."
        )
    if isinstance(error, OperationFailure) and error.code in _DATABASE_FULL:
        return StoreError(f"The disk of the database {location} is full: free some space, then go on.")
    return StoreError(f"The database {location} refused ({first_line(error)}).")


def not_let_in(error: PyMongoError) -> bool:
    """Whether a database refuses the login, or a command that needs one."""
    return isinstance(error, OperationFailure) and (error.code in _NOT_LET_IN or "authenticat" in str(error).lower())


def first_line(error: PyMongoError) -> str:
    """The failure itself, without the description of every server that follows it."""
    return re.split(r", full error|, Timeout:| \(configured timeouts|\n", str(error))[0].rstrip(".")
