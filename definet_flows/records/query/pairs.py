"""Pairs of runs as of now: those that the store holds, and those built here that it lacks or holds from earlier."""

from __future__ import annotations

from definet_flows.records.building.builder import pairs_in, read_pairs
from definet_flows.records.building.paired import savings_of
from definet_flows.records.store import Criteria, RecordStore

CHUNK = 200


def current_savings(store: RecordStore, configurations: Criteria) -> RecordStore:
    """A store whose savings are up to date: the one given, or one in memory.

    Parameters
    ----------
    store
        Where the runs are.
    configurations
        MongoDB criteria on configurations; of others nothing needs to be up to date.
    """
    pairs = pairs_in(store, configurations)
    built = store.contents("savings", configurations, ["key", "provenance"])
    sources = {content["key"]: (content.get("provenance") or {}).get("sources_hash") for content in built}
    stale = [pair for key, pair in pairs.items() if sources.get(key) != pair.sources_hash]
    if not stale and sources.keys() <= pairs.keys():
        return store
    current = [key for key, pair in pairs.items() if sources.get(key) == pair.sources_hash]
    memory = RecordStore.in_memory().connect()
    for start in range(0, len(current), CHUNK):
        memory.put_savings(store.savings({"key": {"$in": current[start : start + CHUNK]}}))
    for start in range(0, len(stale), CHUNK):
        memory.put_savings([savings_of(documents) for documents in read_pairs(store, stale[start : start + CHUNK])])
    return memory
