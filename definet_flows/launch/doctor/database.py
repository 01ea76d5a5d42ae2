"""Whether the database answers, lets us in, keeps what it is given, finds it fast, and has our time."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from definet_flows.errors import DefinetFlowsError
from definet_flows.launch.doctor.findings import (
    ANSWER_WITHIN_MS,
    Finding,
    Subject,
    failed,
    not_set_up,
    passed,
    warned,
)
from definet_flows.launch.hpc.connection import clear_database_errors, without_password
from definet_flows.launch.hpc.folder import JOBFLOW, ConfigFolder
from definet_flows.launch.hpc.stamp import LaunchpadVersionError, check_stamp, stamp_of

if TYPE_CHECKING:
    from fireworks import LaunchPad
    from jobflow.core.store import JobStore
    from maggma.core import Store

SKEW_WARNED, SKEW_FAILED = 5.0, 60.0
"""s; FireWorks judges locks of five minutes and the age of pings by the clocks of whoever looks."""

BLOB = "positions"


def check(subject: Subject) -> Iterator[Finding]:
    """Launchpad first; what needs its database is left out where that does not answer."""
    folder = subject.folder
    if folder is None:
        yield not_set_up("launchpad", "definet-flows hpc init writes my_launchpad.yaml")
        yield not_set_up("stores", "definet-flows hpc init writes jobflow.yaml")
        return
    try:
        subject.launchpad = reached(folder)
    except ImportError as error:
        yield failed("launchpad", f"needs {error.name}", "pip install 'definet-flows[fireworks]'")
        return
    except DefinetFlowsError as error:
        yield failed("launchpad", str(error))
        return
    yield passed("launchpad", f"{subject.launchpad.name} at {without_password(folder.address)} answers")
    yield check_version(subject.launchpad)
    yield check_launchpad_index(subject.launchpad)
    yield check_clock(subject.launchpad.connection)
    yield from check_stores(folder)


def reached(folder: ConfigFolder) -> LaunchPad:
    """The launchpad, its database known to answer and to let us in.

    Raises
    ------
    DefinetFlowsError
        If it does not, in one sentence.
    """
    with clear_database_errors(folder.address):
        launchpad = folder.launchpad(serverSelectionTimeoutMS=ANSWER_WITHIN_MS)
        try:
            # Unlike a ping, this needs a login where there are any.
            launchpad.fireworks.find_one({}, {"_id": 1})
        except PyMongoError:
            launchpad.connection.close()
            raise
    return launchpad


def check_version(launchpad: LaunchPad) -> Finding:
    """Whether the launchpad's jobs were written by versions like ours."""
    try:
        check_stamp(launchpad.db)
    except LaunchpadVersionError as error:
        return failed("launchpad version", str(error))
    stamp = stamp_of(launchpad.db)
    if stamp is None:
        return passed("launchpad version", "nothing was submitted to it yet")
    return passed("launchpad version", ", ".join(f"{name} {number}" for name, number in stamp.items()))


def check_launchpad_index(launchpad: LaunchPad) -> Finding:
    """Whether FireWorks finds jobs without reading all of them."""
    if launchpad.db.fw_id_assigner.find_one({}) is None:
        return passed("launchpad indexes", "made at the first submission")
    return _indexed("launchpad indexes", launchpad.fireworks, "fw_id", "lpad admin tuneup makes them")


def check_clock(client: MongoClient[dict[str, Any]], now: Callable[[], float] = time.time) -> Finding:
    """How far this machine's clock is from the database's.

    Parameters
    ----------
    client
        Of the database.
    now
        This machine's clock, seconds since 1970.
    """
    sent = now()
    told = client.admin.command("hello").get("localTime")
    received = now()
    if not isinstance(told, datetime):
        return passed("clock", "the database does not tell its time")
    theirs = told.replace(tzinfo=told.tzinfo or UTC).timestamp()
    # Wherever between sending and receiving the database looked at its clock, the two differ by at least this.
    skew = max(0.0, theirs - received, sent - theirs)
    message = f"{skew:.1f} s from the database's"
    if skew < SKEW_WARNED:
        return passed("clock", message)
    remedy = "set this machine's clock by NTP (chronyc makestep), or have it set: locks and lost runs are told by time"
    return warned("clock", message, remedy) if skew < SKEW_FAILED else failed("clock", message, remedy)


def check_stores(folder: ConfigFolder) -> Iterator[Finding]:
    """A document and an array written, read and deleted, and the indexes that finding them takes."""
    if not (folder.path / JOBFLOW).is_file():
        yield not_set_up("stores", "definet-flows hpc init writes jobflow.yaml")
        return
    try:
        store = folder.job_store()
        with clear_database_errors(_address(store)), _connected(store):
            findings = [_round_trip(store), *_store_indexes(store)]
    except DefinetFlowsError as error:
        findings = [failed("stores", str(error))]
    except (ValueError, TypeError, KeyError) as error:
        remedy = "correct it, or hpc init --force writes it anew"
        findings = [failed("stores", f"{JOBFLOW} cannot be used ({type(error).__name__}: {error})", remedy)]
    yield from findings


def _store_indexes(store: JobStore) -> Iterator[Finding]:
    for name, documents, field in (
        ("outputs index", store.docs_store, "uuid"),
        *((f"{name} index", blobs, "blob_uuid") for name, blobs in _blobs(store).items()),
    ):
        # Other stores, such as files and object stores, have indexes of their own kind or none.
        if type(documents).__name__ == "MongoStore":
            yield _indexed(name, documents._collection, field, "definet-flows submit makes it")  # noqa: SLF001


def _round_trip(store: JobStore) -> Finding:
    marker = f"definet-flows doctor {uuid.uuid4()}"
    written = {"uuid": marker, "index": 1, "output": {"energy": -1.5, BLOB: [[0.0, 0.5, 1.0]]}, "metadata": {}}
    found: dict[str, Any] | None = None
    store.count({"uuid": marker})  # where nobody answers, once is enough to wait
    try:
        store.update(dict(written), key=["uuid", "index"], save=dict.fromkeys(_blobs(store), BLOB))
        found = store.query_one({"uuid": marker}, load=True)
    finally:
        store.remove_docs({"uuid": marker})
        for blobs in _blobs(store).values():
            blobs.remove_docs({"job_uuid": marker})
    if found is None or found["output"] != written["output"]:
        return failed(
            "stores", "what was written did not come back the same", "is this a MongoDB of version 5 or later?"
        )
    if store.count({"uuid": marker}) or any(blobs.count({"job_uuid": marker}) for blobs in _blobs(store).values()):
        return failed("stores", "what was deleted is still there", "give the database user the role readWrite")
    names = " and ".join(["outputs", *_blobs(store)])
    return passed("stores", f"written to, read from and deleted from {names}")


def _blobs(store: JobStore) -> dict[str, Store]:
    stores: dict[str, Store] = store.additional_stores  # type: ignore[has-type]
    return stores


@contextmanager
def _connected(store: JobStore) -> Iterator[None]:
    for one in (store.docs_store, *_blobs(store).values()):
        if hasattr(one, "mongoclient_kwargs"):
            one.mongoclient_kwargs = dict(one.mongoclient_kwargs) | {"serverSelectionTimeoutMS": ANSWER_WITHIN_MS}
    store.connect()
    try:
        yield
    finally:
        store.close()  # type: ignore[no-untyped-call]


def _address(store: JobStore) -> str:
    docs = store.docs_store
    host, port = getattr(docs, "host", "memory"), getattr(docs, "port", "")
    return str(getattr(docs, "uri", None) or f"mongodb://{host}:{port}")


def _indexed(name: str, collection: Any, field: str, how: str) -> Finding:
    try:
        indexes = collection.index_information().values()
    except OperationFailure:
        indexes = []  # a collection that does not exist yet
    if any(index["key"][0][0] == field for index in indexes):
        return passed(name, f"by {field}")
    return warned(name, f"there is none by {field}, so that every look-up reads everything", how)
