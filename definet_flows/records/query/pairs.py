"""Pairs of runs as of now: those that the store holds, and those built here that it lacks or holds from earlier."""

from __future__ import annotations

from collections.abc import Iterator

from definet_flows.records.building.builder import CHUNK, built_from, pairs_in, read_pairs
from definet_flows.records.building.paired import savings_of
from definet_flows.records.building.seal import is_sealed
from definet_flows.records.documents import SavingsRecord
from definet_flows.records.store import Criteria, RecordStore


def current_savings(store: RecordStore, configurations: Criteria, criteria: Criteria) -> Iterator[SavingsRecord]:
    """Savings records as a build from now would write them, in no particular order; nothing is written.

    Parameters
    ----------
    store
        Where the runs are.
    configurations
        MongoDB criteria on configurations; of others nothing needs to be up to date.
    criteria
        Those that are wanted, of these configurations.
    """
    if is_sealed(store):
        yield from store.savings(criteria)
        return
    pairs, built = pairs_in(store, configurations), built_from(store, configurations)
    current = {key for key, pair in pairs.items() if built.get(key) == pair.sources_hash}
    yield from (one for one in store.savings(criteria) if one.key in current)
    stale = [pair for key, pair in pairs.items() if key not in current]
    with RecordStore.in_memory() as anew:
        for start in range(0, len(stale), CHUNK):
            anew.put_savings([savings_of(documents) for documents in read_pairs(store, stale[start : start + CHUNK])])
        yield from anew.savings(criteria)
