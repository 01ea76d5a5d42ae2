"""The results store: typed documents in maggma stores, one for each collection, on a laptop's disk or in MongoDB alike."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
from maggma.core import Store
from maggma.stores import MemoryStore
from pydantic import ValidationError

from definet_flows.defects import DefectConfiguration, Host
from definet_flows.records.address import database_address, is_database
from definet_flows.records.columns import COLUMNS, field_of
from definet_flows.records.database import Database, DatabaseStore
from definet_flows.records.documents import (
    SCHEMA_VERSION,
    CampaignRecord,
    ConfigurationSummary,
    PredictionRecord,
    RelaxationRecord,
    SavingsRecord,
    StoredDocument,
)
from definet_flows.records.embedded import EmbeddedStore
from definet_flows.records.errors import StoreContentError
from definet_flows.records.lock import StoreLock
from definet_flows.records.pieces import cut, joined
from definet_flows.records.trouble import STORE_FAILURES, explained

STORE_FOLDER = "store"
LOCK_FILE = "lock"
COLLECTIONS = ("campaigns", "relaxations", "predictions", "savings", "build_failures", "elements", "arrays")
KEPT = {"relaxations": {"state": "converged"}}
"""A document with these fields is not replaced by one without: a late report of a loss takes no result away."""

_ARRAY_BATCH = 500
_REMOVED_AT_ONCE = 500
_POINTER = "arrays"

Document = TypeVar("Document", bound=StoredDocument)
Located = TypeVar("Located", RelaxationRecord, PredictionRecord)
Criteria = dict[str, Any]


class RecordStore:
    """Campaigns, relaxations, predictions and savings, each document found by its key.

    Coordinates lie in a collection of their own, so that a query over figures reads no arrays. They are stored under their
    content and the document says where, so that of two writers of one key neither gets the other's coordinates.

    Parameters
    ----------
    open_collection
        Gives the maggma store of a collection by its name (one of `COLLECTIONS`); its key field is ``key``.
    location
        What error messages call this store.
    lock
        Held from `connect` to `close` where there may be one writer only.
    """

    def __init__(
        self, open_collection: Callable[[str], Store], location: str = "memory", lock: StoreLock | None = None
    ) -> None:
        self.location = location
        self.stores = {name: open_collection(name) for name in COLLECTIONS}
        self._lock = lock
        self._host = cache(self._find_host)

    @classmethod
    def in_memory(cls) -> RecordStore:
        """An empty store that lives as long as the process."""
        return cls(lambda name: MemoryStore(name, key="key"))

    def connect(self) -> Self:
        """Open every collection.

        Raises
        ------
        StoreInUseError
            If another process writes to it.
        """
        with self._clear_errors():
            if self._lock is not None:
                self._lock.acquire()
            for store in self.stores.values():
                store.connect()
        return self

    def close(self) -> None:
        """Close every collection and let others write."""
        for store in self.stores.values():
            store.close()  # type: ignore[no-untyped-call]
        if self._lock is not None:
            self._lock.release()

    def is_begun(self) -> bool:
        """Whether there is a campaign or a relaxation."""
        with self._clear_errors():
            return any(self.stores[name].query_one({}, properties=["key"]) for name in ("campaigns", "relaxations"))

    def __enter__(self) -> Self:
        return self.connect()

    def __exit__(self, *_: object) -> None:
        self.close()

    def add_relaxations(self, records: Iterable[RelaxationRecord]) -> None:
        """Write relaxations; one with the key of an earlier one replaces it, unless only the earlier one converged.

        Raises
        ------
        StoreError
            If the disk is full or cannot be written, or the database cannot be reached.
        """
        given = list(records)
        unfinished = [record.key for record in given if record.state != "converged"]
        there = self.relaxations({"key": {"$in": unfinished}}) if unfinished else ()
        kept = {record.key for record in there if record.state == "converged"}
        self._add_with_positions("relaxations", [record for record in given if record.key not in kept])

    def add_predictions(self, records: Iterable[PredictionRecord]) -> None:
        """Write predictions; one with the key of an earlier one replaces it."""
        self._add_with_positions("predictions", list(records))

    def put_campaign(self, record: CampaignRecord) -> None:
        """Write what is known of a campaign, in place of what was known before."""
        document, pieces = cut(record.model_dump(mode="json"))
        self._write("arrays", pieces)
        self._write("campaigns", [document])
        self._host.cache_clear()

    def put_savings(self, records: Iterable[SavingsRecord]) -> None:
        """Write savings; one with the key of an earlier one replaces it."""
        self.write("savings", records)

    def write(self, collection: str, records: Iterable[StoredDocument]) -> None:
        """Write documents without coordinates; one with the key of an earlier one replaces it."""
        self._write(collection, [record.model_dump(mode="json") for record in records])

    def remove(self, collection: str, keys: Sequence[str]) -> None:
        """Remove documents by their keys; those that are not there are no matter."""
        with self._clear_errors():
            for start in range(0, len(keys), _REMOVED_AT_ONCE):
                some = keys[start : start + _REMOVED_AT_ONCE]
                self.stores[collection].remove_docs({"key": {"$in": list(some)}})

    def relaxations(self, criteria: Criteria | None = None, *, positions: bool = False) -> Iterator[RelaxationRecord]:
        """Relaxations that fit MongoDB criteria, in no particular order.

        Parameters
        ----------
        criteria
            For example ``{"label": "V_S", "state": "converged"}``; all by default.
        positions
            Read the coordinates too; otherwise ``positions`` is None.
        """
        return self._read_located("relaxations", RelaxationRecord, criteria, positions=positions)

    def predictions(self, criteria: Criteria | None = None, *, positions: bool = False) -> Iterator[PredictionRecord]:
        """Predictions that fit MongoDB criteria, in no particular order; arguments as for `relaxations`."""
        return self._read_located("predictions", PredictionRecord, criteria, positions=positions)

    def states(self) -> dict[str, str]:
        """State of every relaxation, by key."""
        with self._clear_errors():
            found = self.stores["relaxations"].query({}, properties=["key", "state"])
            return {content["key"]: content["state"] for content in found}

    def savings(self, criteria: Criteria | None = None) -> Iterator[SavingsRecord]:
        """Savings written by `put_savings` that fit MongoDB criteria."""
        return self.read("savings", SavingsRecord, criteria)

    def campaigns(self, criteria: Criteria | None = None) -> list[CampaignRecord]:
        """The campaigns that fit MongoDB criteria, by name."""
        with self._clear_errors():
            whole = [joined(content, self._pieces) for content in self.stores["campaigns"].query(criteria or {})]
        return sorted((self._parsed(CampaignRecord, content) for content in whole), key=lambda record: record.name)

    def read(self, collection: str, kind: type[Document], criteria: Criteria | None = None) -> Iterator[Document]:
        """Documents of a collection that fit MongoDB criteria, in no particular order."""
        with self._clear_errors():
            for content in self.stores[collection].query(criteria or {}):
                yield self._parsed(kind, content)

    def contents(self, collection: str, criteria: Criteria, fields: list[str]) -> Iterator[dict[str, Any]]:
        """Some fields of the documents that fit MongoDB criteria, as they lie in the store."""
        with self._clear_errors():
            yield from self.stores[collection].query(criteria, properties=fields)

    def texts(self, collection: str, fields: Sequence[str]) -> list[tuple[str | None, ...]]:
        """Some fields that hold texts, of every document, in no particular order; None where one has no value."""
        store = self.stores[collection]
        with self._clear_errors():
            if isinstance(store, EmbeddedStore):
                return store.texts(fields)
            found = store.query({}, properties=list(fields))
            return [tuple(field_of(content, name) for name in fields) for content in found]

    def positions(self, keys: Iterable[str]) -> dict[str, list[list[float]]]:
        """Coordinates [n_sites][3] in Å of relaxations and predictions, by key; without those that have none."""
        wanted = list(keys)
        with self._clear_errors():
            pointers = {
                content["key"]: content.get(_POINTER, content["key"])
                for collection in ("relaxations", "predictions")
                for content in self.stores[collection].query({"key": {"$in": wanted}}, properties=["key", _POINTER])
            }
        return self._pointed_at(pointers)

    def host(self, fingerprint: str) -> Host:
        """The pristine supercell of a fingerprint, engine-relaxed positions included.

        Raises
        ------
        StoreContentError
            If no campaign in the store has it.
        """
        return self._host(fingerprint)

    def configuration(self, record: ConfigurationSummary) -> DefectConfiguration:
        """Rebuild the configuration that a record is about (without defects for a pristine supercell)."""
        return DefectConfiguration(self.host(record.host.fingerprint), tuple(record.defects))

    def _find_host(self, fingerprint: str) -> Host:
        for campaign in self.campaigns():
            if fingerprint in campaign.hosts:
                return Host.from_dict(campaign.hosts[fingerprint])
        raise StoreContentError(f"No campaign in {self.location} has the host {fingerprint}.")

    def _add_with_positions(self, collection: str, records: list[Located]) -> None:
        """Arrays first: a record that can be found always has its coordinates."""
        pointers = {record.key: _pointer(record.key, record.positions) for record in records if record.positions}
        self._write(
            "arrays", [{"key": pointers[one.key], "positions": one.positions} for one in records if one.positions]
        )
        documents = [record.model_dump(mode="json", exclude={"positions"}) for record in records]
        self._write(
            collection,
            [one | ({_POINTER: pointers[one["key"]]} if one["key"] in pointers else {}) for one in documents],
        )

    def _pointed_at(self, pointers: dict[str, str]) -> dict[str, list[list[float]]]:
        """Coordinates by key, from where each document says that they are."""
        with self._clear_errors():
            found = self.stores["arrays"].query({"key": {"$in": list(pointers.values())}})
            arrays = {content["key"]: content["positions"] for content in found}
        return {key: arrays[pointer] for key, pointer in pointers.items() if pointer in arrays}

    def _pieces(self, keys: list[str]) -> Iterable[dict[str, Any]]:
        return self.stores["arrays"].query({"key": {"$in": keys}})

    def _write(self, collection: str, documents: list[dict[str, Any]]) -> None:
        if documents:
            with self._clear_errors():
                self.stores[collection].update(documents)

    def _read_located(
        self, collection: str, kind: type[Located], criteria: Criteria | None, *, positions: bool
    ) -> Iterator[Located]:
        with self._clear_errors():
            batch: list[dict[str, Any]] = []
            for content in self.stores[collection].query(criteria or {}):
                batch.append(content)
                if len(batch) == _ARRAY_BATCH:
                    yield from self._located(kind, batch, positions=positions)
                    batch = []
            yield from self._located(kind, batch, positions=positions)

    def _located(self, kind: type[Located], batch: list[dict[str, Any]], *, positions: bool) -> Iterator[Located]:
        pointers = {content["key"]: content.get(_POINTER, content["key"]) for content in batch} if positions else {}
        found = self._pointed_at(pointers) if pointers else {}
        for content in batch:
            yield self._parsed(kind, {**content, "positions": found.get(content["key"])})

    def _parsed(self, kind: type[Document], content: dict[str, Any]) -> Document:
        fields = {name: field for name, field in content.items() if name not in {"_id", _POINTER}}
        try:
            return self._completed(kind.model_validate(fields), fields)
        except ValidationError as error:
            version = fields.get("schema_version")
            cure = (
                "install the version of definet-flows that wrote it"
                if version != SCHEMA_VERSION
                else "it was changed by something else than definet-flows"
            )
            raise StoreContentError(
                f"Document {fields.get('key')} in {self.location} is not a {kind.__name__} of schema version "
                f"{SCHEMA_VERSION} (it says {version}; {error.errors()[0]['msg']}): {cure}."
            ) from error

    def _completed(self, record: Document, stored: Mapping[str, Any]) -> Document:
        """A record with what documents of schema version 1 do not tell and its configuration does."""
        if not isinstance(record, ConfigurationSummary) or record.n_defects < 2 or "defect_distance" in stored:
            return record
        try:
            distance = self.configuration(record).defect_distance
        except StoreContentError:
            return record  # no campaign has its host
        return record.model_copy(update={"defect_distance": distance})

    @contextlib.contextmanager
    def _clear_errors(self) -> Iterator[None]:
        """Say in one sentence what a disk or database error means and what to do."""
        try:
            yield
        except STORE_FAILURES as error:
            raise explained(self.location, error) from error


def _pointer(key: str, positions: list[list[float]]) -> str:
    return f"{key}-{hashlib.blake2b(np.asarray(positions, dtype=np.float64).tobytes(), digest_size=8).hexdigest()}"


def open_store(place: str | Path, *, read_only: bool = False) -> RecordStore:
    """Open a results store: a campaign directory's, or one in MongoDB.

    Parameters
    ----------
    place
        The campaign directory, whose folder ``store`` is made if absent; or the address of a database or the path of a
        store file, as `definet_flows.records.address.database_address` reads them.
    read_only
        Take no lock and change nothing, so that results can be looked at while a campaign runs.

    Returns
    -------
    RecordStore
        Connected; close it, or use it in a ``with`` statement. One in a database has any number of writers.

    Raises
    ------
    StoreInUseError
        If another process writes to the directory.
    StoreContentError
        If it is opened to read and there is none.
    StoreAddressError
        If the address cannot be understood.
    StoreError
        If the database cannot be reached or does not let us in.
    """
    return _open_database(place, read_only) if is_database(place) else _open_directory(Path(place), read_only)


def _open_directory(directory: Path, read_only: bool) -> RecordStore:
    folder = directory / STORE_FOLDER
    if read_only and not folder.is_dir():
        raise StoreContentError(f"{directory} holds no results; run a campaign with --dir {directory} first.")
    lock = None if read_only else StoreLock(folder / LOCK_FILE)
    store = RecordStore(
        lambda name: EmbeddedStore(name, str(folder), read_only=read_only, columns=COLUMNS.get(name, ())),
        location=str(directory),
        lock=lock,
    )
    return store.connect()


def _open_database(place: str | Path, read_only: bool) -> RecordStore:
    address = database_address(place)
    database = Database(address)
    store = RecordStore(
        lambda name: DatabaseStore(name, database, kept=KEPT.get(name), read_only=read_only), location=address.shown
    )
    with contextlib.ExitStack() as failing:
        failing.callback(database.close)
        store.connect()
        if read_only and not store.is_begun():
            raise StoreContentError(f"{address.shown} holds no results; check the name of the database.")
        failing.pop_all()
    return store
