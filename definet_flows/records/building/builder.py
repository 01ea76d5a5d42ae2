"""The maggma builder of savings records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from math import ceil
from pathlib import Path
from typing import Any

from maggma.core import Builder

from definet_flows.records.building.paired import PairDocuments, savings_of
from definet_flows.records.building.pairing import (
    Plans,
    PredictionIdentity,
    RunIdentity,
    RunPair,
    find_pairs,
)
from definet_flows.records.building.seal import put_seal, seal_of, sources_hash
from definet_flows.records.documents import BuildFailure, SavingsRecord
from definet_flows.records.errors import StoreContentError
from definet_flows.records.store import Criteria, RecordStore, open_store

CHUNK = 200

OnChunk = Callable[[int, int], None]
"""Told how many items are done, and of how many."""


@dataclass(frozen=True)
class BuildSummary:
    """What a build found and did.

    Parameters
    ----------
    pairs
        Pairs of runs that the store holds.
    built
        Savings records written.
    unchanged
        Pairs whose savings record was up to date.
    failed
        Pairs that no record could be made of, this time.
    left
        Pairs that failed before and were not tried again.
    removed
        Records of pairs that are no more.
    """

    pairs: int = 0
    built: int = 0
    unchanged: int = 0
    failed: int = 0
    left: int = 0
    removed: int = 0


class SavingsBuilder(Builder):
    """Builds one savings record per configuration, charge, physics, checkpoint and guard, in a results store of any kind.

    A record is built where it is missing and where a document it is made of was written since; what cannot be built is marked
    with its reason, and left alone until it changes or is to be tried again.

    Parameters
    ----------
    place
        A results store: an open one, a campaign directory, or the address of a database.
    query
        MongoDB criteria on the configurations, such as ``{"label": "V_S"}``; all by default.
    from_scratch
        Build every record anew.
    retry_failed
        Try again what failed before.
    chunk_size
        Pairs whose documents are in memory at once.
    """

    def __init__(
        self,
        place: RecordStore | str | Path,
        query: Criteria | None = None,
        *,
        from_scratch: bool = False,
        retry_failed: bool = False,
        chunk_size: int = CHUNK,
    ) -> None:
        self.place = str(place) if isinstance(place, Path) else place
        self.query = query
        self.from_scratch = from_scratch
        self.retry_failed = retry_failed
        self.summary = BuildSummary()
        self._store = place if isinstance(place, RecordStore) else None
        self._obsolete: dict[str, set[str]] = {}
        self._seal: str | None = None  # of a whole build
        super().__init__(*self._maggma_stores(), chunk_size=chunk_size)

    @property
    def store(self) -> RecordStore:
        """The results store, open after `connect`."""
        if self._store is None:
            raise RuntimeError("The builder is not connected; call connect first.")
        return self._store

    def connect(self) -> None:
        """Open the results store, where it is not open yet; writers make its indexes."""
        if self._store is None:
            self._store = open_store(str(self.place))
            self.sources, self.targets = self._maggma_stores()

    def prechunk(self, number_splits: int) -> Iterator[dict[str, Any]]:
        """Queries that divide what there is to do among so many builders."""
        self.connect()
        identities = sorted({pair.unrelaxed.configuration_id for pair in self._pending()})
        size = ceil(len(identities) / number_splits) or 1
        for start in range(0, len(identities), size):
            yield {"query": {"configuration_id": {"$in": identities[start : start + size]}}}

    def get_items(self) -> Iterator[PairDocuments | BuildFailure]:
        """Documents of every pair that is to be built; a failure in place of those that cannot be read."""
        pending = self._pending()
        self.total = len(pending)
        for start in range(0, len(pending), self.chunk_size):
            yield from self._readable(pending[start : start + self.chunk_size])

    def process_item(self, item: PairDocuments | BuildFailure) -> SavingsRecord | BuildFailure:
        """The savings record of a pair, or why there can be none."""
        if isinstance(item, BuildFailure):
            return item
        try:
            return savings_of(item)
        # ValueError: what numpy says of coordinates that are not [n_sites][3], and pydantic of a figure that is none.
        except (StoreContentError, ValueError) as error:
            return _failure(item.pair, error)

    def update_targets(self, items: Sequence[SavingsRecord | BuildFailure]) -> None:
        """Write records and failures; a failure that is over is forgotten."""
        records = [item for item in items if isinstance(item, SavingsRecord)]
        failures = [item for item in items if isinstance(item, BuildFailure)]
        self.store.put_savings(records)
        self.store.write("build_failures", failures)
        self.store.remove("build_failures", [record.key for record in records])
        self.store.remove("savings", [failure.key for failure in failures])
        built, failed = self.summary.built + len(records), self.summary.failed + len(failures)
        self.summary = replace(self.summary, built=built, failed=failed)

    def finalize(self) -> None:
        """Remove the records of pairs that are no more, seal a whole build, and close the store where it was opened here."""
        for collection, keys in self._obsolete.items():
            self.store.remove(collection, sorted(keys))
        if self._seal is not None:
            put_seal(self.store, self._seal)
        if not isinstance(self.place, RecordStore) and self._store is not None:
            self._store.close()
            self._store = None

    def build(self, on_chunk: OnChunk | None = None) -> BuildSummary:
        """Build what is to be built, one chunk after another, and say what was done."""
        self.connect()
        self.summary = BuildSummary()
        items, done = self.get_items(), 0
        while chunk := list(islice(items, self.chunk_size)):
            self.update_targets([self.process_item(item) for item in chunk])
            done += len(chunk)
            if on_chunk is not None:
                on_chunk(done, self.total or done)
        self.finalize()
        return self.summary

    def _maggma_stores(self) -> tuple[list[Any], list[Any]]:
        if self._store is None:
            return [], []
        stores = self._store.stores
        sources = [stores[name] for name in ("relaxations", "predictions", "arrays", "campaigns")]
        return sources, [stores["savings"], stores["build_failures"]]

    def _pending(self) -> list[RunPair]:
        """Pairs to build; what became obsolete is noted."""
        sources = sources_hash(self.store) if self.query is None else ""
        pairs = pairs_in(self.store, self.query)
        self._seal = seal_of(sources, ((key, pair.sources_hash) for key, pair in pairs.items())) if sources else None
        built, failed = built_from(self.store, self.query), _failed(self.store)
        # A failure does not say whether the query would find its configuration.
        over = failed.keys() - pairs.keys() if self.query is None else set()
        self._obsolete = {"savings": built.keys() - pairs.keys(), "build_failures": over}
        left = unchanged = 0
        pending = []
        for key, pair in pairs.items():
            if not self.from_scratch and built.get(key) == pair.sources_hash:
                unchanged += 1
            elif not (self.from_scratch or self.retry_failed) and failed.get(key) == pair.sources_hash:
                left += 1
            else:
                pending.append(pair)
        removed = len(self._obsolete["savings"])
        self.summary = replace(self.summary, pairs=len(pairs), unchanged=unchanged, left=left, removed=removed)
        return pending

    def _readable(self, pairs: Sequence[RunPair]) -> Iterator[PairDocuments | BuildFailure]:
        """Documents of pairs; where one cannot be read, the others still are."""
        try:
            yield from list(read_pairs(self.store, pairs))
        except StoreContentError as error:
            if len(pairs) == 1:
                yield _failure(pairs[0], error)
                return
            for pair in pairs:
                yield from self._readable([pair])


def build_savings(store: RecordStore, criteria: Criteria | None = None) -> list[SavingsRecord]:
    """The savings record of every pair as of now, whatever was built before; nothing is written.

    Parameters
    ----------
    store
        Where the runs are.
    criteria
        MongoDB criteria on the predictions, such as ``{"checkpoint_hash": ...}``; all by default.

    Returns
    -------
    list of SavingsRecord
        By label, then configuration id. Configurations that lack one of the runs are left out.

    Raises
    ------
    StoreContentError
        If a document is of another version, or was changed by something else.
    """
    wanted = None if criteria is None else {one.key for one in store.predictions(criteria)}
    pairs = [pair for pair in pairs_in(store).values() if wanted is None or pair.prediction.key in wanted]
    savings = []
    for start in range(0, len(pairs), CHUNK):
        savings += [savings_of(documents) for documents in read_pairs(store, pairs[start : start + CHUNK])]
    return sorted(savings, key=lambda record: (record.label, record.configuration_id, record.key))


def pairs_in(store: RecordStore, query: Criteria | None = None) -> dict[str, RunPair]:
    """Every pair of runs in a store, by the key of its savings record.

    Parameters
    ----------
    store
        Where the runs are.
    query
        MongoDB criteria on the configurations.
    """
    return find_pairs(_runs(store, query or {}), _predictions(store, query or {}), Plans.of(store.campaigns()))


def built_from(store: RecordStore, query: Criteria | None = None) -> dict[str, str | None]:
    """What each savings record was built from, by its key; None for one of an earlier version. Arguments as for `pairs_in`."""
    found = store.contents("savings", query or {}, ["key", "provenance.sources_hash"])
    return {content["key"]: (content.get("provenance") or {}).get("sources_hash") for content in found}


def read_pairs(store: RecordStore, pairs: Sequence[RunPair]) -> Iterator[PairDocuments]:
    """The documents of pairs, coordinates included, read together.

    Raises
    ------
    StoreContentError
        If a document is of another version, was changed by something else, or is gone.
    """
    keys = [one.key for pair in pairs for one in pair.documents]
    criteria = {"key": {"$in": keys}}
    runs = {record.key: record for record in store.relaxations(criteria, positions=True)}
    predictions = {record.key: record for record in store.predictions(criteria, positions=True)}
    for pair in pairs:
        unrelaxed = runs[pair.unrelaxed.key]
        yield PairDocuments(
            pair,
            unrelaxed,
            None if pair.prerelaxed is None else runs[pair.prerelaxed.key],
            predictions[pair.prediction.key],
            tuple(predictions[one.key] for one in pair.committee),
            store.host(unrelaxed.host.fingerprint).lattice,
        )


def _runs(store: RecordStore, query: Criteria) -> Iterator[RunIdentity]:
    names = ["key", "configuration_id", "charge", "start", "last_updated"]
    for content in store.contents("relaxations", {"kind": "defect", **query}, [*names, "engine.physics_hash"]):
        yield RunIdentity(physics_hash=content["engine"]["physics_hash"], **{name: content[name] for name in names})


def _predictions(store: RecordStore, query: Criteria) -> Iterator[PredictionIdentity]:
    names = list(PredictionIdentity.__dataclass_fields__)
    for content in store.contents("predictions", query, names):
        yield PredictionIdentity(**{name: content[name] for name in names})


def _failed(store: RecordStore) -> dict[str, str]:
    """What each failure was tried with, by its key."""
    return {failure.key: failure.sources_hash for failure in store.read("build_failures", BuildFailure)}


def _failure(pair: RunPair, error: Exception) -> BuildFailure:
    reason = " ".join(str(error).split())
    identity = pair.unrelaxed.configuration_id
    return BuildFailure(key=pair.key, configuration_id=identity, reason=reason, sources_hash=pair.sources_hash)
