"""The two databases a cluster's campaigns live in: FireWorks' launchpad and the results store beside jobflow's outputs."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from fireworks.core.launchpad import LaunchPad
from jobflow.core.store import JobStore
from maggma.core import Store
from maggma.stores import MongoStore
from pymongo import ASCENDING

from definet_flows.errors import InputError
from definet_flows.launch.hpc.connection import clear_database_errors, without_password
from definet_flows.launch.hpc.folder import ConfigFolder
from definet_flows.launch.hpc.stamp import check_stamp, put_stamp
from definet_flows.records.address import DatabaseAddress
from definet_flows.records.database import Database, DatabaseStore
from definet_flows.records.store import KEPT, RecordStore

AT_ONCE = 400
"""Keys in one query."""

Item = TypeVar("Item")


def batches(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Items in as many pieces as one query each may ask for."""
    return (items[start : start + AT_ONCE] for start in range(0, len(items), AT_ONCE))


@dataclass
class Cluster:
    """A launchpad, and the store that its workers write to.

    Attributes
    ----------
    launchpad
        FireWorks' database of what is to be done.
    store
        The results.
    job_store
        Where jobflow keeps the outputs of jobs.
    """

    launchpad: LaunchPad
    store: RecordStore
    job_store: JobStore

    @classmethod
    def open(cls, folder: ConfigFolder) -> Self:
        """Connect to what a configuration folder names.

        Parameters
        ----------
        folder
            The folder; `ConfigFolder.use` was called before FireWorks or jobflow was imported.

        Raises
        ------
        InputError
            If a file is missing or unusable.
        DatabaseError, StoreError
            If a database cannot be reached or does not let us in; the message shows no password.
        LaunchpadVersionError
            If the launchpad was filled by other versions.
        """
        launchpad = folder.launchpad()
        for handler in launchpad.m_logger.handlers:
            handler.setLevel(logging.WARNING)  # it tells of every workflow it adds
        with ExitStack() as failing:
            failing.callback(launchpad.connection.close)
            with clear_database_errors(folder.address):
                launchpad.connection.admin.command("ping")
                _begin(launchpad)
                check_stamp(launchpad.db)
                put_stamp(launchpad.db)
            job_store = folder.job_store()
            opened = cls(launchpad, store_beside(job_store), job_store)
            failing.pop_all()
        return opened

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Say in one sentence what is wrong when the launchpad's database does not do what it is asked."""
        host = self.launchpad.host
        with clear_database_errors(host if "://" in host else f"mongodb://{host}:{self.launchpad.port}"):
            yield

    def ensure_indexes(self) -> None:
        """Make the indexes that jobflow needs and does not make: of outputs, and of the arrays they point to."""
        additional: dict[str, Store] = self.job_store.additional_stores  # type: ignore[has-type]  # of jobflow
        for store, fields in ((self.job_store.docs_store, ("uuid", "index")), *_arrays(additional.values())):
            address = _address_of(store)
            with clear_database_errors(address.shown), closing(Database(address)) as database:
                collection = database.client[store.database][store.collection_name]
                collection.create_index([(field, ASCENDING) for field in fields])

    def remove_outputs(self, uuids: Sequence[str]) -> int:
        """Remove what jobs put out, arrays first, and say how many outputs there were.

        Parameters
        ----------
        uuids
            Of the jobs.
        """
        additional: dict[str, Store] = self.job_store.additional_stores  # type: ignore[has-type]  # of jobflow
        for store in additional.values():
            _remove(store, {"job_uuid": {"$in": list(uuids)}})
        return _remove(self.job_store.docs_store, {"uuid": {"$in": list(uuids)}})

    def close(self) -> None:
        """Disconnect from both."""
        self.store.close()
        self.launchpad.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def store_beside(job_store: JobStore) -> RecordStore:
    """The results store in the database that jobflow keeps the outputs of jobs in, opened to write.

    Parameters
    ----------
    job_store
        As jobflow is configured.

    Raises
    ------
    InputError
        If that is not a MongoDB.
    StoreError
        If it cannot be reached.
    """
    documents = job_store.docs_store
    if not isinstance(documents, MongoStore):
        raise InputError(
            f"jobflow keeps its documents in a {type(documents).__name__}, which workers cannot share: "
            "write 'type: MongoStore' in jobflow.yaml (definet-flows hpc init does)."
        )
    address = _address_of(documents)
    database = Database(address)
    opened = RecordStore(lambda name: DatabaseStore(name, database, kept=KEPT.get(name)), location=address.shown)
    with ExitStack() as failing:
        failing.callback(database.close)
        opened.connect()
        failing.pop_all()
    return opened


def _address_of(store: MongoStore) -> DatabaseAddress:
    options = store.mongoclient_kwargs
    if store.uri is not None:
        shown = f"{without_password(store.uri).rstrip('/')}/{store.database}"
        return DatabaseAddress(store.database, shown, {"host": store.uri, **options})
    login = {"username": store.username, "password": store.password, "authSource": store.auth_source}
    client = {"host": store.host, "port": store.port, **(login if store.username else {}), **options}
    return DatabaseAddress(store.database, f"mongodb://{store.host}:{store.port}/{store.database}", client)


def _remove(store: Store, criteria: dict[str, Any]) -> int:
    """Remove documents; how many, of a collection of a MongoDB."""
    if not isinstance(store, MongoStore):
        store.connect()
        store.remove_docs(criteria)
        store.close()  # type: ignore[no-untyped-call]
        return 0
    address = _address_of(store)
    # maggma's own connection would stay open.
    with clear_database_errors(address.shown), closing(Database(address)) as database:
        return int(database.client[store.database][store.collection_name].delete_many(criteria).deleted_count)


def _arrays(stores: Iterable[Store]) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """The additional stores that are collections of a MongoDB, with the field they are searched by."""
    return ((store, ("blob_uuid",)) for store in stores if isinstance(store, MongoStore))


def _begin(launchpad: LaunchPad) -> None:
    """Make an empty database a launchpad; FireWorks' own command for it would also empty one that is in use."""
    if launchpad.fw_id_assigner.find_one() is None and launchpad.fireworks.find_one() is None:
        launchpad.reset("", require_password=False, max_reset_wo_password=0)
