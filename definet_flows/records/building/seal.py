"""Whether the savings records of a store are those of its runs as of now, told without pairing the runs again.

A whole build leaves a seal: a hash of which sources there were, when each was written, and which savings records they come to.
Any write, removal or missing record makes another hash, and then the pairs have to be looked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

from pydantic import Field

from definet_flows.records.building.pairing import RULES_VERSION
from definet_flows.records.documents import SCHEMA_VERSION, StoredDocument
from definet_flows.records.store import RecordStore

SOURCES = ("campaigns", "relaxations", "predictions")
"""Collections that savings records are built from."""

_KEY = "savings-seal"
_BUILT_FROM = ("key", "provenance.sources_hash")


class SavingsSeal(StoredDocument):
    """What a whole build came to; it lies among the arrays, found by its key alone."""

    seal: str = Field(description="Hash of the sources and of the savings records made of them")


def sources_hash(store: RecordStore) -> str:
    """Changes with every document that savings records are built from."""
    found = blake2b(digest_size=16)
    for collection in SOURCES:
        written = sorted(f"{key} {moment}" for key, moment in store.texts(collection, ("key", "last_updated")))
        found.update("\n".join([collection, *written]).encode())
    return found.hexdigest()


def seal_of(sources: str, built: Iterable[tuple[str | None, ...]]) -> str:
    """The seal of savings records on the sources that they were built from.

    Parameters
    ----------
    sources
        `sources_hash` from before the pairs were looked for.
    built
        Key of each savings record, and hash of its own sources.
    """
    parts = [
        str(RULES_VERSION),
        str(SCHEMA_VERSION),
        sources,
        *sorted(f"{key} {hashed}" for key, hashed in built),
    ]
    return blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()


def is_sealed(store: RecordStore) -> bool:
    """Whether the savings records are those that a build from now would come to."""
    return seal_of(sources_hash(store), store.texts("savings", _BUILT_FROM)) == _seal(store)


def put_seal(store: RecordStore, seal: str) -> None:
    """Leave a seal, where it is not there yet."""
    if seal != _seal(store):
        store.write("arrays", [SavingsSeal(key=_KEY, seal=seal)])


def _seal(store: RecordStore) -> str | None:
    return next((one.seal for one in store.read("arrays", SavingsSeal, {"key": _KEY})), None)
