"""What a database's refusal means, in one sentence that shows no password."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from pymongo.errors import ConfigurationError, ConnectionFailure, InvalidURI, PyMongoError

from definet_flows.errors import DefinetFlowsError
from definet_flows.launch.hpc.credentials import PASSWORD_VARIABLE, USER_VARIABLE
from definet_flows.records.trouble import first_line, not_let_in


class DatabaseError(DefinetFlowsError):
    """The database cannot be used; the message says where it is and what to do."""


def without_password(address: str) -> str:
    """A database's address as it may be shown: without user, password and options."""
    return re.sub(r"//.*@", "//", address).split("?")[0]


@contextmanager
def clear_database_errors(address: str) -> Iterator[None]:
    """Say what went wrong with the database at an address.

    Raises
    ------
    DatabaseError
        In place of whatever pymongo raises.
    """
    try:
        yield
    except PyMongoError as error:
        raise DatabaseError(_explained(error, without_password(address))) from error


def _explained(error: PyMongoError, address: str) -> str:
    if not_let_in(error):
        return (
            f"The database at {address} refuses the login ({first_line(error)}): check {USER_VARIABLE} and "
            f"{PASSWORD_VARIABLE}, that this user may read and write the database, and that authSource in "
            "my_launchpad.yaml and jobflow.yaml names the database that keeps the user (often admin)."
        )
    if isinstance(error, ConnectionFailure):
        return (
            f"No database answers at {address} ({first_line(error)}): check that it runs, its host and port in "
            "my_launchpad.yaml and jobflow.yaml, and that no firewall stands between."
        )
    if isinstance(error, ConfigurationError | InvalidURI):
        return f"The address or the options of the database {address} cannot be used ({first_line(error)})."
    return f"The database at {address} reports an error ({first_line(error)})."
