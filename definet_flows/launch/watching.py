"""How far a campaign in a directory has come, read from its store, also while another process writes to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from definet_flows.flows.campaign import NEUTRAL
from definet_flows.launch.status import (
    STATES,
    CampaignStatus,
    configuration_states,
    grouped,
    per_hour,
    predicted,
    recorded_runs,
)
from definet_flows.records.address import is_database
from definet_flows.records.documents import CampaignRecord
from definet_flows.records.keys import relaxation_key
from definet_flows.records.lock import is_held
from definet_flows.records.store import LOCK_FILE, STORE_FOLDER, RecordStore, open_store
from definet_flows.settings import workflows_directory


def is_campaign_directory(place: str | Path) -> bool:
    """Whether there is a results store in a directory."""
    return (Path(place) / STORE_FOLDER).is_dir()


def is_under_way(place: str | Path) -> bool:
    """Whether a process on this machine runs the campaign of a directory; of a database nobody knows."""
    return not is_database(place) and is_held(Path(place) / STORE_FOLDER / LOCK_FILE)


def status_of_directory(directory: str | Path) -> list[CampaignStatus]:
    """How far each host of the campaign in a directory has come; nothing is locked or changed.

    Parameters
    ----------
    directory
        Where the campaign runs, or ran.

    Raises
    ------
    StoreError
        If it holds no results, or they cannot be read.
    """
    under_way = is_under_way(directory)
    with open_store(directory, read_only=True) as store:
        return [status_of_records(store, record, directory, under_way=under_way) for record in store.campaigns()]


def status_of_records(
    store: RecordStore, record: CampaignRecord, place: str | Path, *, under_way: bool = False
) -> CampaignStatus:
    """How far a campaign has come by what is on record, whoever runs it.

    Parameters
    ----------
    store
        Where its records are.
    record
        The campaign.
    place
        The directory or database that the store was opened at.
    under_way
        Whether a process on this machine runs it.
    """
    passed = predicted(store, record)
    recorded = recorded_runs(store, record)
    planned = dict(_planned(record, passed))
    runs = {
        key: (configuration, recorded[key]["state"] if key in recorded else "queued")
        for key, configuration in planned.items()
    }
    counts = Counter(state for _, state in runs.values())
    states = configuration_states(record, runs, passed)
    rate, left = per_hour(content["last_updated"] for content in recorded.values()), counts["queued"]
    failed = [
        (recorded[key]["reason"] or "", "relax", configuration)
        for key, (configuration, state) in runs.items()
        if state == "failed"
    ]
    again = (
        f"definet-flows recover {record.name} --failed"
        if is_database(place)
        else f"definet-flows run {_file_of(record)} --dir {place} --retry-failed"
    )
    return CampaignStatus(
        name=record.name,
        n_configurations=len(record.configuration_ids),
        states={state: states[state] for state in STATES},
        runs=dict(sorted(counts.items())),
        per_hour=rate,
        seconds_left=3600 * left / rate if rate and left else None,
        failures=grouped({"": failed}, lambda *_: again),
        standing="under way" if under_way else None,
    )


def _planned(record: CampaignRecord, passed: Mapping[str, bool]) -> Iterator[tuple[str, str]]:
    """Key and configuration of every relaxation; what is not predicted yet is taken to pass the guard."""
    both = set(record.baseline_ids)
    charges = record.settings.get("charges", NEUTRAL)  # runs that were adopted have no settings at all
    for configuration in record.configuration_ids:
        usable = record.model is not None and passed.get(configuration, True)
        for charge in charges:
            if configuration in both or not usable:
                yield relaxation_key(configuration, charge, "unrelaxed", record.physics_hash), configuration
            if record.model is not None and usable:
                hashes = record.physics_hash, record.model.checkpoint_hash, record.model.guard_hash
                yield relaxation_key(configuration, charge, "prerelaxed", *hashes), configuration


def _file_of(record: CampaignRecord) -> str:
    """The campaign file as `run` takes it: the name of one that ships, else what the user has to fill in."""
    name = record.settings.get("screening") or record.name
    return name if (workflows_directory() / f"{name}.yaml").is_file() else "CAMPAIGN.yaml"
