"""Many run directories at once: read, told apart, written, and paired."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from definet_flows.defects import Host
from definet_flows.defects.host import content_hash
from definet_flows.engines.vasp.outputs.files import run_directories
from definet_flows.errors import DefinetFlowsError, InputError
from definet_flows.records.adoption.directory import AdoptedRun, read_adopted
from definet_flows.records.adoption.origin import StartOrigin
from definet_flows.records.building import build_savings
from definet_flows.records.documents import CampaignRecord, RelaxationRecord
from definet_flows.records.keys import KEY_LENGTH
from definet_flows.records.store import RecordStore

logger = logging.getLogger(__name__)

_SAME_START = 0.01
"""Å; a run whose atoms all start this near to where another ended goes on from it."""

Outcome = Literal["new", "unchanged", "changed", "left out", "not read"]


@dataclass(frozen=True)
class Adopted:
    """What became of one run directory.

    Parameters
    ----------
    directory
        Where it lies.
    outcome
        Written as new, on record already, changed since, left out, or not read.
    reason
        Why it was left out or could not be read; for a run without its other start, what is known of that.
    record
        Its record; None where it could not be read.
    paired
        Whether both starts of its configuration are on record with the same settings.
    """

    directory: Path
    outcome: Outcome
    reason: str | None = None
    record: RelaxationRecord | None = None
    paired: bool = False


def adopt_directories(
    store: RecordStore,
    roots: Iterable[Path],
    host: Host,
    origin: StartOrigin,
    tolerance: float,
    campaign: str,
) -> list[Adopted]:
    """Put the runs of some directories into a store; doing so again changes nothing.

    Parameters
    ----------
    store
        Where the records go.
    roots
        Run directories, or folders with such at any depth.
    host
        The pristine supercell that all of them are of.
    origin
        What made the starts that are not the pristine sites.
    tolerance
        Å; a start with every atom this near to its pristine site is the unrelaxed one.
    campaign
        Name for the records, where the store has no campaign of this host yet.

    Returns
    -------
    list of Adopted
        One for each run directory, in the order found.

    Raises
    ------
    InputError
        If there is no run directory at all.
    """
    directories = list(run_directories(roots))
    if not directories:
        raise InputError("There is no VASP run in these directories: no vasprun.xml, OUTCAR or OSZICAR at any depth.")
    known = next((one.name for one in store.campaigns() if host.fingerprint in one.hosts), campaign)
    read, outcomes = _read(directories, host, origin, tolerance, known)
    chosen = list(_chosen(store, read, outcomes))
    _write(store, chosen, host, origin, known)
    paired = {key for one in build_savings(store) for key in (one.unrelaxed.key, one.prerelaxed.key)}
    for run in chosen:
        outcomes[run.directory] = _with_partner(store, outcomes[run.directory], run.record, paired)
    return [outcomes[directory] for directory in directories]


def _read(
    directories: Sequence[Path], host: Host, origin: StartOrigin, tolerance: float, campaign: str
) -> tuple[list[AdoptedRun], dict[Path, Adopted]]:
    """What can be read, and why the rest cannot."""
    read: list[AdoptedRun] = []
    outcomes: dict[Path, Adopted] = {}
    for directory in directories:
        logger.info("reading %s", directory)
        try:
            read.append(read_adopted(directory, host, origin, tolerance, campaign))
        except (DefinetFlowsError, OSError) as error:
            outcomes[directory] = Adopted(directory, "not read", str(error))
    return read, outcomes


def _chosen(store: RecordStore, read: Sequence[AdoptedRun], outcomes: dict[Path, Adopted]) -> Iterator[AdoptedRun]:
    """The runs that become records; of the others `outcomes` says why not."""
    keys = [run.record.key for run in read]
    on_record = {one.key: one for one in store.relaxations({"key": {"$in": keys}}, positions=True)}
    alike: dict[str, list[AdoptedRun]] = {}
    for run in read:
        alike.setdefault(run.record.configuration_id, []).append(run)
    taken: dict[str, AdoptedRun] = {}
    for run in read:
        earlier = on_record.get(run.record.key)
        parent = _continued(run, alike[run.record.configuration_id])
        if parent is not None:
            reason = f"it starts where {parent} ended; put both into one folder as relax1 and relax2 to count both"
            outcomes[run.directory] = Adopted(run.directory, "left out", reason, run.record)
        elif run.record.key in taken or (earlier is not None and _directory(earlier) != _directory(run.record)):
            other = taken[run.record.key].directory if run.record.key in taken else _directory(earlier)
            reason = f"{other or 'a run of a campaign'} has the same configuration, start and settings"
            outcomes[run.directory] = Adopted(run.directory, "left out", reason, run.record)
        else:
            taken[run.record.key] = run
            outcomes[run.directory] = Adopted(run.directory, _compared(earlier, run.record), None, run.record)
            yield run


def _continued(run: AdoptedRun, others: Iterable[AdoptedRun]) -> Path | None:
    """The run of the same configuration whose end is this one's start."""
    if run.prediction is None:
        return None
    for other in others:
        if other is not run and any(np.abs(end - run.start).max() < _SAME_START for end in other.ends):
            return other.directory
    return None


def _directory(record: RelaxationRecord | None) -> str | None:
    return None if record is None or record.details is None else record.details.directory


def _compared(earlier: RelaxationRecord | None, record: RelaxationRecord) -> Outcome:
    if earlier is None:
        return "new"
    written = {"last_updated": record.last_updated, "code_version": record.code_version}
    return "unchanged" if earlier.model_copy(update=written) == record else "changed"


def _write(store: RecordStore, runs: Sequence[AdoptedRun], host: Host, origin: StartOrigin, campaign: str) -> None:
    """Campaign first, so that a record that can be found always has its host; what is there already is not written again."""
    if not runs:
        return
    _put_campaign(store, runs, host, origin, campaign)
    predictions = {run.prediction.key: run.prediction for run in runs if run.prediction is not None}
    there = {one.key for one in store.predictions({"key": {"$in": list(predictions)}})}
    store.add_predictions([prediction for key, prediction in predictions.items() if key not in there])
    keys = [run.record.key for run in runs]
    on_record = {one.key: one for one in store.relaxations({"key": {"$in": keys}}, positions=True)}
    store.add_relaxations(
        [run.record for run in runs if _compared(on_record.get(run.record.key), run.record) != "unchanged"]
    )


def _put_campaign(
    store: RecordStore, runs: Sequence[AdoptedRun], host: Host, origin: StartOrigin, campaign: str
) -> None:
    """What the report needs to know of adopted runs; a campaign of this host is left as it is."""
    campaigns = store.campaigns()
    key = content_hash(["adopted", campaign], KEY_LENGTH)
    if any(host.fingerprint in one.hosts and one.key != key for one in campaigns):
        return
    own = next((one for one in campaigns if one.key == key), None)
    engines = {run.record.engine.physics_hash: run.record.engine for run in runs}
    most_common = Counter(run.record.engine.physics_hash for run in runs).most_common(1)[0][0]
    record = CampaignRecord(
        key=key,
        name=campaign,
        content_hash=key,
        settings={},
        hosts={**(own.hosts if own else {}), host.fingerprint: host.to_dict()},
        engine_name="vasp",
        physics=engines[most_common].physics,
        physics_hash=most_common,
        model=origin.model,
    )
    if own is None or own.model_copy(update={"last_updated": record.last_updated}) != record:
        store.put_campaign(record)


def _with_partner(store: RecordStore, adopted: Adopted, record: RelaxationRecord, paired: set[str]) -> Adopted:
    """The outcome with whether its other start is there, and if only other settings stand between them, which."""
    if record.key in paired:
        return replace(adopted, paired=True)
    if record.kind == "pristine":
        return adopted
    other = "prerelaxed" if record.start == "unrelaxed" else "unrelaxed"
    wanted = {"configuration_id": record.configuration_id, "start": other}
    candidates = list(store.relaxations(wanted))
    if not candidates:
        return replace(adopted, reason=f"no {other} run of this configuration")
    if all("lattice" not in one.engine.physics for one in candidates):  # told by a campaign file, not by VASP's own
        return replace(adopted, reason=f"its {other} run is a campaign's; adopt both into a store of their own")
    missing = [one.engine.physics.get("not told") for one in (record, *candidates)]
    if untold := next((note["settings"] for note in missing if note), None):
        return replace(adopted, reason=f"no file tells {', '.join(untold)} of it or of its {other} run")
    near = min((list(_differences(record, one)) for one in candidates), key=len)
    return replace(adopted, reason=f"its {other} run differs in {', '.join(near) or 'its origin'}")


def _differences(record: RelaxationRecord, other: RelaxationRecord) -> Iterator[str]:
    if record.charge != other.charge:
        yield f"charge ({record.charge}, {other.charge})"
    mine, theirs = _flat(record.engine.physics), _flat(other.engine.physics)
    for name in sorted(mine.keys() | theirs.keys()):
        if mine.get(name) != theirs.get(name):
            yield f"{name} ({mine.get(name)}, {theirs.get(name)})"


def _flat(physics: dict[str, Any]) -> dict[str, Any]:
    settings = physics.get("incar")
    rest = {name: value for name, value in physics.items() if name != "incar"}
    return rest | (settings if isinstance(settings, dict) else {})
