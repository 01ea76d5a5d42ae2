"""Whether a store has changed since it was last looked at, without reading what it holds."""

from __future__ import annotations

from typing import Any

from definet_flows.records.embedded import EmbeddedStore
from definet_flows.records.store import RecordStore


def revision(store: RecordStore) -> tuple[Any, ...]:
    """What differs after any write to a store, and does not without one.

    Parameters
    ----------
    store
        A connected store. Of one on a disk the files are asked, of one in a database the number of documents and the
        latest change.

    Raises
    ------
    StoreError
        If the database does not answer.
    """
    return tuple(_of(collection) for name, collection in store.stores.items() if name != "arrays")


def _of(collection: Any) -> tuple[Any, ...]:
    if isinstance(collection, EmbeddedStore):
        file = collection.collection_file
        if not file.exists():
            return ()
        found = file.stat()
        return found.st_mtime_ns, found.st_size
    latest: dict[str, Any] = next(
        collection.query({}, properties=["last_updated"], sort={"last_updated": -1}, limit=1), {}
    )
    return collection.count(), latest.get("last_updated")
