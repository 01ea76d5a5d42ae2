"""Whether something was set out to be done before and never came to its end: what killed its process once may do so again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from definet_flows.defects.host import content_hash
from definet_flows.launch.fireworks.clock import database_beside
from definet_flows.records.store import RecordStore

ATTEMPTS = "definet_attempts"
"""Collection of what is under way, beside the results."""


@contextmanager
def attempt(store: RecordStore, keys: Sequence[str]) -> Iterator[bool]:
    """Note that something is begun, and forget it once it is done; whether it is the first time.

    Parameters
    ----------
    store
        The results.
    keys
        Of the records that are to be made.
    """
    attempts, identity = database_beside(store)[ATTEMPTS], content_hash(sorted(keys), 32)
    yield attempts.update_one({"_id": identity}, {"$inc": {"begun": 1}}, upsert=True).upserted_id is not None
    attempts.delete_one({"_id": identity})
