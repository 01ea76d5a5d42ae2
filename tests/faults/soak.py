"""A campaign under faults of every kind at once, until so many were injected; then what it came to is compared with one in peace.

Everything is drawn from a seed but the moments at which processes run, which no seed decides. What is injected is written to a
file as it happens.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from definet_flows.flows import load_campaign
from definet_flows.launch.local import run_campaign
from definet_flows.records import open_store
from tests import copper
from tests.cluster.slurm import NoSlurmError, SlurmNode, need_slurm
from tests.database.server import DatabaseServer
from tests.faults.disks import NoDiskError, fill, small_disk
from tests.faults.kinds import BETWEEN, DISK, QUEUED, SHARES
from tests.faults.round import Round, outcome
from tests.hpc_folders import written

CONFIGURATIONS = (
    '{recipes: ["V_Cu", "Al_Cu", "Ni_Cu", "V_Cu+Al_Cu", "V_Cu+V_Cu", "Al_Cu+Al_Cu", "V_Cu+Ni_Cu"], '
    "select: {count: SIZE, seed: 1, stratify: label}}"
)
RESOURCES = "{chunk_size: 4, max_active: 24}"
QUEUE = {"walltime": "00:10:00", "nodes": 1, "cores": 1, "memory": None, "max_jobs": 2}


@dataclass
class Soak:
    """A soak.

    Attributes
    ----------
    folder
        For everything; emptied by nobody.
    faults
        How many to inject.
    seed
        Of what is drawn.
    minutes
        After which nothing more is injected.
    size
        Configurations of the campaign.
    kinds
        Of faults.
    """

    folder: Path
    faults: int
    seed: int = 0
    minutes: float = 20.0
    size: int = 23
    kinds: frozenset[str] = frozenset(SHARES)
    injected: Counter[str] = field(default_factory=Counter)
    recovered: Counter[str] = field(default_factory=Counter)
    checks: list[dict[str, bool]] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    def run(self):
        """Campaign after campaign, until all faults are injected or time is up; True if nothing was lost."""
        self.random = random.Random(self.seed)
        self.end = time.monotonic() + 60 * self.minutes
        self.folder.mkdir(parents=True, exist_ok=True)
        path = copper.write_campaign(
            self.folder / "campaign", configurations=CONFIGURATIONS.replace("SIZE", str(self.size)), resources=RESOURCES
        )
        self.campaign = load_campaign(path)
        expected = self._in_peace()
        with contextlib.ExitStack() as stack:
            self.disk = self._small_disk(stack)
            self.slurm = self._queue(stack)
            self.left = self._drawn()
            self.server = stack.enter_context(DatabaseServer(self.folder / "mongo"))
            while self.left and time.monotonic() < self.end:
                self._campaign(expected)
        return bool(self.checks) and all(all(check.values()) for check in self.checks)

    def note(self, **what):
        """Add a line to the journal."""
        with (self.folder / "journal.jsonl").open("a") as journal:
            journal.write(json.dumps({"at": round(time.time(), 1), **what}) + "\n")

    def _in_peace(self):
        run_campaign(self.campaign, self.folder / "peace", workers=2)
        with open_store(self.folder / "peace", read_only=True) as store:
            return outcome(store, list(store.savings()))

    def _drawn(self):
        kinds = [kind for kind in SHARES if kind in self.kinds and kind not in self.skipped]
        counts = {kind: max(1, round(SHARES[kind] * self.faults)) for kind in kinds}
        counts[BETWEEN] = max(1, counts[BETWEEN] + self.faults - sum(counts.values()))
        left = [kind for kind in kinds for _ in range(counts[kind])]
        self.random.shuffle(left)
        return left

    def _small_disk(self, stack):
        """A full file system, or None."""
        try:
            disk = stack.enter_context(small_disk(self.folder / "disk", "64k"))
        except NoDiskError as error:
            self.skipped[DISK] = str(error)
            return None
        fill(disk)
        return disk

    def _queue(self, stack):
        if self.kinds.isdisjoint(QUEUED):
            return None
        try:
            need_slurm()
            place = Path(f"/tmp/slurm-{os.getpid()}")
            stack.callback(shutil.rmtree, place, ignore_errors=True)
            node = stack.enter_context(SlurmNode(place))
        except NoSlurmError as error:
            self.skipped |= dict.fromkeys(QUEUED, str(error))
            return None
        os.environ |= node.environment
        return node

    def _campaign(self, expected):
        number = len(self.checks)
        configuration = written(
            self.folder / f"configuration-{number}",
            database={"host": self.server.uri, "name": f"soak{number}", "login": False},
            gpu=QUEUE,
            cpu=QUEUE,
        )
        round_ = Round(self, configuration, self.folder / f"round-{number}")
        before = Counter(self.injected)
        try:
            is_done = round_.run()
        finally:
            round_.stop()
        check = {"came to its end": is_done, **round_.check(expected)}
        self.checks.append(check)
        self.note(round=number, **check)
        if all(check.values()):
            self.recovered += self.injected - before
