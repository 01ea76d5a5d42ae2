"""Where a results store in MongoDB is: an address or a store file, its secrets taken from the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote_plus, urlsplit

import yaml
from monty.json import MontyDecoder

from definet_flows.records.errors import StoreAddressError

SCHEMES = ("mongodb://", "mongodb+srv://")
STORE_FILES = (".yaml", ".yml", ".json")
KINDS = ("MongoStore", "MongoURIStore")

PATIENCE_MS = 10_000
"""ms; how long a database may take to answer the first time, where its address says nothing else."""

_VARIABLE = re.compile(r"\$\{(\w+)\}")
_USED = {"database", "host", "port", "username", "password", "auth_source", "uri", "mongoclient_kwargs"}
# What maggma and monty write into such files, and collections of other purpose.
_WITHOUT_MEANING = {"type", "@module", "@class", "@version", "collection_name", "key", "safe_update", "ssh_tunnel"}


@dataclass(frozen=True)
class DatabaseAddress:
    """A database, and how to reach it.

    Parameters
    ----------
    database
        Its name.
    shown
        Its address for messages: user and host, never a password.
    client
        Arguments of `pymongo.MongoClient`, secrets included.
    """

    database: str
    shown: str
    client: dict[str, Any] = field(repr=False)


def is_database(place: str | Path) -> bool:
    """Whether a place is that of a database (an address, or a store file) and not a directory."""
    return str(place).startswith(SCHEMES) or (Path(place).suffix in STORE_FILES and not Path(place).is_dir())


def database_address(place: str | Path) -> DatabaseAddress:
    """Read an address or a store file; ``${NAME}`` in either stands for an environment variable.

    Parameters
    ----------
    place
        ``mongodb://user:${PASSWORD}@host:27017/database``, or the path of a YAML or JSON file that specifies a maggma
        MongoStore, such as jobflow's configuration.

    Raises
    ------
    StoreAddressError
        If it cannot be understood; the message shows no password.
    """
    return _of_uri(str(place)) if str(place).startswith(SCHEMES) else _of_file(Path(place))


def _of_uri(text: str, database: str | None = None, options: Mapping[str, Any] | None = None) -> DatabaseAddress:
    uri = _expanded(text, _shown(text), quote_plus)
    shown, parts = _shown(uri), urlsplit(uri)
    name = database or parts.path.strip("/")
    if not parts.netloc:
        raise StoreAddressError(f"{shown} names no host: write mongodb://HOST:27017/DATABASE.")
    if not name:
        raise StoreAddressError(f"{shown} names no database: write mongodb://HOST:27017/DATABASE.")
    if database and not parts.path.strip("/"):
        shown = f"{shown.rstrip('/')}/{database}"
    given = {option.lower() for option in parse_qs(parts.query)}
    return DatabaseAddress(name, shown, {"host": uri, **_defaults(given), **(options or {})})


def _shown(uri: str) -> str:
    """The address without password and options, also where a password breaks the rules of addresses."""
    scheme, rest = uri.partition("?")[0].split("://", 1)
    login, _, place = rest.rpartition("@")
    user = login.partition(":")[0]
    return f"{scheme}://{user}@{place}" if user else f"{scheme}://{place}"


def _of_file(path: Path) -> DatabaseAddress:
    content = _specification(path)
    unknown = sorted(set(content) - _USED - _WITHOUT_MEANING)
    if unknown or content.get("ssh_tunnel"):
        raise StoreAddressError(
            f"The store file {path} has settings that are not understood here: {', '.join(unknown or ['ssh_tunnel'])}."
        )
    options = content.get("mongoclient_kwargs") or {}
    if content.get("uri"):
        return _of_uri(content["uri"], content.get("database"), options)
    if not content.get("database"):
        raise StoreAddressError(f"The store file {path} names no database; give it as 'database: NAME'.")
    host, port = content.get("host", "localhost"), content.get("port", 27017)
    if str(host).startswith(SCHEMES):
        return _of_uri(host, content["database"], options)
    if not str(port).isdigit():
        raise StoreAddressError(f"The store file {path} names the port {port!r}, which is not a number.")
    user = content.get("username") or ""
    login = {
        "username": user,
        "password": content.get("password"),
        "authSource": content.get("auth_source") or content["database"],
    }
    shown = f"mongodb://{f'{user}@' if user else ''}{host}:{port}/{content['database']}"
    given = {str(option).lower() for option in options}
    client = {"host": host, "port": int(port), **(login if user else {}), **_defaults(given), **options}
    return DatabaseAddress(content["database"], shown, client)


def _specification(path: Path) -> dict[str, Any]:
    """A MongoStore's arguments from a file: on their own, or as jobflow's ``JOB_STORE: docs_store``."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StoreAddressError(f"There is no store file {path}; check the path.") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise StoreAddressError(f"The store file {path} cannot be read ({type(error).__name__}).") from error
    for name in ("JOB_STORE", "docs_store"):
        if isinstance(content, dict) and name in content:
            content = content[name]
    kind = content.get("type") or content.get("@class") if isinstance(content, dict) else None
    if kind not in KINDS:
        raise StoreAddressError(
            f"The store file {path} specifies no {KINDS[0]} but {kind or 'something else'}: "
            "write 'type: MongoStore' with its host and database, or name a directory instead of the file."
        )
    return {name: _expanded_in(value, str(path)) for name, value in content.items()}


def _expanded_in(value: Any, where: str) -> Any:
    if isinstance(value, dict) and "@class" in value:
        return MontyDecoder().process_decoded(value)  # such as what `hpc init` writes in place of a password
    if isinstance(value, dict):
        return {name: _expanded_in(inner, where) for name, inner in value.items()}
    # An address is expanded where it is taken apart, so that what is filled in is quoted.
    return _expanded(value, where, str) if isinstance(value, str) and not value.startswith(SCHEMES) else value


def _expanded(text: str, where: str, quoted: Callable[[str], str]) -> str:
    missing = [name for name in _VARIABLE.findall(text) if name not in os.environ]
    if missing:
        raise StoreAddressError(f"The environment variable {missing[0]}, which {where} asks for, is not set.")
    return _VARIABLE.sub(lambda found: quoted(os.environ[found[1]]), text)


def _defaults(given: set[str]) -> dict[str, Any]:
    """Options of the client that the address leaves open."""
    wanted = {"appname": "definet-flows", "serverSelectionTimeoutMS": PATIENCE_MS}
    return {name: value for name, value in wanted.items() if name.lower() not in given}
