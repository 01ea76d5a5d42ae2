"""What a store holds of a campaign in one file, which outlives directories and databases and is a store again once unpacked."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import definet_flows
from definet_flows.errors import DefinetFlowsError, InputError
from definet_flows.records.documents import CampaignRecord
from definet_flows.records.pieces import POINTERS
from definet_flows.records.store import COLLECTIONS, Criteria, RecordStore, open_store
from definet_flows.records.trouble import STORE_FAILURES, explained

SUFFIXES = (".tar.gz", ".tgz")
MANIFEST = "MANIFEST.json"

_BATCH = 200
_OF_CONFIGURATIONS = ("relaxations", "predictions", "savings", "build_failures")


class ArchiveError(DefinetFlowsError):
    """An archive does not hold what it was made of."""


@dataclass
class Tally:
    """How many documents there are in each collection, and what they hold, whatever their order.

    Attributes
    ----------
    digests
        Of each document.
    """

    digests: dict[str, list[bytes]] = field(default_factory=lambda: {name: [] for name in COLLECTIONS})

    def add(self, collection: str, documents: Iterable[dict[str, Any]]) -> None:
        """Count documents."""
        for document in documents:
            text = json.dumps(document, sort_keys=True, separators=(",", ":"), default=str)
            self.digests[collection].append(hashlib.sha256(text.encode()).digest())

    @property
    def contents(self) -> dict[str, dict[str, Any]]:
        """Number of documents and content hash of each collection."""
        return {
            name: {"documents": len(found), "sha256": hashlib.sha256(b"".join(sorted(found))).hexdigest()}
            for name, found in self.digests.items()
        }


def write_archive(
    store: RecordStore, name: str, file: Path, campaigns: Sequence[CampaignRecord] | None = None
) -> dict[str, dict[str, Any]]:
    """Write all that a store holds of some campaigns into a file, or find that it is there already.

    The file appears under its name only when it is whole and was read back; a process that is killed before leaves a folder
    beside it that begins with a dot.

    Parameters
    ----------
    store
        Where the records are.
    name
        Of the folder that the file unpacks to.
    file
        The archive, ending in one of `SUFFIXES`.
    campaigns
        Which; all that is in the store by default.

    Returns
    -------
    dict
        ``documents`` and ``sha256`` of each collection.

    Raises
    ------
    InputError
        If there is another file of that name, or one cannot be written there.
    ArchiveError
        If what was written is not what was read.
    """
    if not file.name.endswith(SUFFIXES):
        raise InputError(f"{file} must end in {' or '.join(SUFFIXES)}, which is what it will be.")
    if file.exists():
        return _same(store, file, campaigns)
    try:
        with TemporaryDirectory(dir=file.parent, prefix=f".{file.name}-") as scratch:
            contents = _copied(store, Path(scratch) / name, campaigns)
            packed = Path(scratch) / file.name
            with tarfile.open(packed, "w:gz") as archive:
                archive.add(Path(scratch) / name, arcname=name)
            _checked(packed, contents)
            with packed.open("rb") as written:
                os.fsync(written.fileno())
            packed.replace(file)
    except OSError as error:
        raise InputError(
            f"The archive {file} cannot be written ({error.strerror or error}); name another place."
        ) from error
    return contents


def archived_contents(file: Path) -> dict[str, dict[str, Any]]:
    """What an archive holds, all of it read and compared with what its manifest says.

    Parameters
    ----------
    file
        The archive.

    Raises
    ------
    ArchiveError
        If it is damaged, or no archive of results.
    """
    with TemporaryDirectory(dir=file.parent, prefix=f".{file.name}-") as scratch:
        try:
            with tarfile.open(file) as archive:
                archive.extractall(scratch, filter="data")
            (manifest,) = Path(scratch).glob(f"*/{MANIFEST}")
            told = json.loads(manifest.read_text(encoding="utf-8"))["collections"]
        except (tarfile.TarError, EOFError, OSError, ValueError, KeyError) as error:
            raise ArchiveError(f"{file} is no archive of results, or is damaged ({error}).") from error
        tally = Tally()
        with open_store(manifest.parent, read_only=True) as store:
            for collection, documents in _documents(store, None):
                tally.add(collection, documents)
    if tally.contents != told:
        raise ArchiveError(f"{file} does not hold what its {MANIFEST} says: make it anew.")
    return tally.contents


def _same(store: RecordStore, file: Path, campaigns: Sequence[CampaignRecord] | None) -> dict[str, dict[str, Any]]:
    """The contents of an archive that was written before, perhaps by somebody who was killed right after."""
    tally = Tally()
    for collection, documents in _documents(store, campaigns):
        tally.add(collection, documents)
    if archived_contents(file) != tally.contents:
        raise InputError(f"{file} is there already and holds something else; name another file.")
    return tally.contents


def _checked(packed: Path, contents: dict[str, dict[str, Any]]) -> None:
    if archived_contents(packed) != contents:
        raise ArchiveError("What was written into the archive is not what was read; nothing was kept.")


def _copied(store: RecordStore, folder: Path, campaigns: Sequence[CampaignRecord] | None) -> dict[str, dict[str, Any]]:
    tally = Tally()
    with open_store(folder) as copy:
        for collection, documents in _documents(store, campaigns):
            tally.add(collection, documents)
            copy.stores[collection].update(documents)
    manifest = {"collections": tally.contents, "code_version": definet_flows.__version__, "source": store.location}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2), encoding="utf-8")
    return tally.contents


def _documents(
    store: RecordStore, campaigns: Sequence[CampaignRecord] | None
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """What is to be archived as it is stored, a batch at a time, coordinates last."""
    pointers: set[str] = set()
    for collection in COLLECTIONS:
        if collection == "arrays" and campaigns is not None:
            batches = _cut(iter(sorted(pointers)))
            found: Iterator[dict[str, Any]] = (
                one for keys in batches for one in _raw(store, collection, {"key": {"$in": keys}})
            )
        else:
            found = _chosen(store, collection, campaigns)
        for batch in _cut(found):
            pointers.update(key for document in batch for key in _pointers(document))
            yield collection, batch


def _chosen(
    store: RecordStore, collection: str, campaigns: Sequence[CampaignRecord] | None
) -> Iterator[dict[str, Any]]:
    if campaigns is None or collection not in {"campaigns", *_OF_CONFIGURATIONS}:
        yield from _raw(store, collection, {})
    elif collection == "campaigns":
        yield from _raw(store, collection, {"key": {"$in": [one.key for one in campaigns]}})
    else:
        planned = {identity for one in campaigns for identity in one.configuration_ids}
        hosts = {fingerprint for one in campaigns for fingerprint in one.hosts}
        for document in _raw(store, collection, {}):
            is_pristine = document.get("kind") == "pristine" and document["host"]["fingerprint"] in hosts
            if is_pristine or document["configuration_id"] in planned:
                yield document


def _raw(store: RecordStore, collection: str, criteria: Criteria) -> Iterator[dict[str, Any]]:
    try:
        for document in store.stores[collection].query(criteria):
            yield {name: value for name, value in document.items() if name != "_id"}
    except STORE_FAILURES as error:
        raise explained(store.location, error) from error


def _pointers(document: dict[str, Any]) -> Iterator[str]:
    """Keys of the arrays that a document points to."""
    yield document.get("arrays", document["key"])
    for keys in document.get(POINTERS, {}).values():
        yield from keys


def _cut(items: Iterator[Any]) -> Iterator[list[Any]]:
    while batch := list(islice(items, _BATCH)):
        yield batch
