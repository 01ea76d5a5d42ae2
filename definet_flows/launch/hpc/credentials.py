"""User and password of the database, read from the environment when a connection is made, and written nowhere.

The files of a configuration folder name what is here: ``FW_config.yaml`` names `mongo_client` as the client that FireWorks
uses, and ``jobflow.yaml`` names `FromEnvironment` where a user and a password would stand. FireWorks is importing its
settings when it imports this module, so nothing of FireWorks or jobflow may be imported here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pymongo import MongoClient

from definet_flows.errors import InputError

USER_VARIABLE = "DEFINET_FLOWS_DATABASE_USER"
PASSWORD_VARIABLE = "DEFINET_FLOWS_DATABASE_PASSWORD"  # noqa: S105  the variable's name


def from_environment(variable: str) -> str:
    """Value of an environment variable that has to be there.

    Raises
    ------
    InputError
        If it is unset or empty.
    """
    value = os.environ.get(variable)
    if not value:
        raise InputError(
            f"{variable} is not set: export {USER_VARIABLE} and {PASSWORD_VARIABLE}, or write these two lines into secrets.sh "
            "in the configuration folder (chmod 600) and source its env.sh."
        )
    return value


class FromEnvironment:
    """Stands in a YAML file for the value of an environment variable: monty puts that value in its place."""

    @classmethod
    def from_dict(cls, content: Mapping[str, str]) -> str:
        """Value of the variable that ``content["variable"]`` names; errors as for `from_environment`."""
        return from_environment(content["variable"])


def mongo_client(*address: Any, **options: Any) -> MongoClient[dict[str, Any]]:
    """A client that logs in as the environment says.

    Parameters
    ----------
    address, options
        As for `pymongo.MongoClient`.

    Raises
    ------
    InputError
        If the environment names no user and password.
    """
    login = {"username": from_environment(USER_VARIABLE), "password": from_environment(PASSWORD_VARIABLE)}
    return MongoClient(*address, **(options | login))
