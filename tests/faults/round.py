"""One campaign under faults: its launchers, a queue and `recover` at work while things break."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from pymongo.errors import AutoReconnect

from definet_flows.errors import DefinetFlowsError
from definet_flows.launch.fireworks.chunks import DONE
from definet_flows.launch.fireworks.cluster import Cluster
from definet_flows.launch.fireworks.recovery import Rescue, recover
from definet_flows.launch.fireworks.submissions import submission_named
from definet_flows.launch.fireworks.submitting import plan_submission, submit
from definet_flows.launch.fireworks.waves import Waves
from definet_flows.records import build_savings
from tests.faults.kinds import AGAIN, BETWEEN, CANCELLED, CLOCK, DATABASE, DISK, KILLED, RECOVERY, SPOILERS, TIMED_OUT
from tests.faults.launchers import FORKING, Fault, ForkedLauncher, die_at_write

LAST_WRITE = 34
"""More changes of the database than most jobs make."""

AT_ONCE = 2
"""Launchers with a fault of the same kind."""

SILENT, PATIENCE = 10.0, 6.0


class Round:
    """One campaign of a soak."""

    def __init__(self, soak, configuration, folder):
        self.soak, self.configuration, self.folder = soak, configuration, folder
        self.random = soak.random
        self.launchers = {}
        self.helpers = []
        self.jobs = {}
        self.recovering = None
        self.full = ""  # category whose launchers have a full disk
        self.next_fault = 0.0
        self.count = 0

    def run(self):
        """Inject faults until there are none left; whether the campaign came to its end."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._helper(_submit)
        self._join_helpers()
        deadline = self.soak.end + 900
        recovered = time.monotonic()
        while not self._calmly(self._is_done):
            if time.monotonic() > deadline:
                return False
            self._keep_busy()
            if self.soak.left and self.next_fault < time.monotonic() < self.soak.end:
                self._inject(self.soak.left[0])
            self._watch_jobs()
            if time.monotonic() > recovered + 4 and not self._lives(self.recovering):
                self.recovering = self._helper(_recover)
                recovered = time.monotonic()
            time.sleep(0.2)
        return True

    def stop(self):
        """End everything that this campaign started."""
        for launcher, *_ in self.launchers.values():
            launcher.kill()
        for helper in self.helpers:
            helper.kill()
            helper.join()
        for job in self.jobs:
            subprocess.run(["scancel", "-s", "KILL", job], capture_output=True, check=False)

    def check(self, expected):
        """What must hold in the end."""
        with Cluster.open(self.configuration) as cluster:
            records = list(cluster.store.relaxations())
            found = outcome(cluster.store, list(build_savings(cluster.store)))
            states = set(cluster.launchpad.fireworks.distinct("state"))
        return {
            "none missing, none twice": len(records)
            == len({one.key for one in records})
            == len(expected["relaxations"]),
            "relaxations the same": found["relaxations"] == expected["relaxations"],
            "predictions the same": found["predictions"] == expected["predictions"],
            "savings the same": found["savings"] == expected["savings"],
            "every job completed": states == {"COMPLETED"},
        }

    def _is_done(self):
        with Cluster.open(self.configuration) as cluster:
            submission = submission_named(cluster.launchpad, "copper")
            counts = Waves(cluster.launchpad, submission.key).counts()
            unfinished = cluster.launchpad.fireworks.count_documents({"state": {"$ne": "COMPLETED"}})
        return not unfinished and sum(counts.values()) == counts[DONE]

    def _calmly(self, function):
        """Ask again where the database was restarted under the question."""
        for _ in range(5):
            try:
                return function()
            except (DefinetFlowsError, AutoReconnect):
                time.sleep(0.5)
        return function()

    def _lives(self, process):
        return process is not None and process.is_alive()

    def _keep_busy(self):
        """A launcher of each category at work, whatever became of the last one."""
        for name in [name for name, (launcher, *_) in self.launchers.items() if not launcher.lives]:
            self._tell_end(*self.launchers.pop(name))
        for name in ("cpu-a", "cpu-b", "gpu"):
            if name not in self.launchers:
                self._start(name, name[:3], self._kind_met_at_work(name[:3]))

    def _kind_met_at_work(self, category):
        """Of faults that need a job to run into them: a launcher beside those at work might find none."""
        if category == self.full:
            return DISK
        return next((kind for kind in self.soak.left if kind in SPOILERS), "") if category == "gpu" else ""

    def _start(self, name, category, kind):
        self.count += 1
        log = self.folder / f"{name.split()[0]}-{self.count}"
        folder = self.soak.disk / str(self.count) if kind == DISK else log
        launcher = ForkedLauncher(self.configuration, folder, category, self._fault(kind, log), launches=4, log=log)
        self.launchers[name] = launcher, kind, log

    def _tell_end(self, launcher, kind, log):
        """Count the fault of a launcher that had one and met it."""
        told = (log / "log").read_text() if (log / "log").exists() else ""
        is_met = {
            BETWEEN: launcher.process.exitcode == -signal.SIGKILL,
            CLOCK: any(log.glob("launch-*/FW.json")),
            DISK: "No space left" in told,
        }
        if is_met.get(kind, (log / "fired").exists()):
            self._injected(kind)
            self.full = "" if kind == DISK else self.full

    def _injected(self, kind):
        if kind in self.soak.left:
            self.soak.left.remove(kind)
            self.soak.injected[kind] += 1
            self.soak.note(fault=kind, number=sum(self.soak.injected.values()))

    def _inject(self, kind):
        """Begin a fault; those that take effect later are counted then."""
        self.next_fault = time.monotonic() + self.random.uniform(0.2, 1.0)
        begin = {
            KILLED: self._kill,
            RECOVERY: self._kill_recovery,
            DATABASE: self._restart_database,
            AGAIN: self._submit_again,
            CANCELLED: self._queue_job,
            TIMED_OUT: self._queue_job,
            DISK: self._fill_disk,
        }.get(kind, self._start_beside)
        if kind not in SPOILERS:
            begin(kind)
        if kind in self.soak.left:  # it has not taken effect yet; the next has its turn
            self.soak.left.remove(kind)
            self.soak.left.append(kind)

    def _fault(self, kind, log):
        if kind == BETWEEN:
            return Fault(dies_at_write=self.random.randint(1, LAST_WRITE))
        if kind == CLOCK:
            return Fault(clock_ahead=3600.0 * self.random.choice([-7, -3, 3, 7]))
        if kind in SPOILERS:
            return Fault(predicting=SPOILERS[kind](log / "fired"))
        return Fault()

    def _start_beside(self, kind):
        """A launcher with a fault of its own, beside those at work."""
        if sum(one == kind for _, one, _ in self.launchers.values()) < AT_ONCE:
            self._start(f"{kind}-{self.count}", self._category(), kind)

    def _fill_disk(self, _):
        """Launchers of a category have no room, until a job has run into that."""
        self.full = self._category()

    def _category(self):
        return self.random.choice(["cpu", "cpu", "gpu"])

    def _kill(self, kind):
        plain = [name for name, (launcher, fault, _) in self.launchers.items() if launcher.lives and not fault]
        if plain:
            launcher, *_ = self.launchers.pop(self.random.choice(plain))
            launcher.kill()
            if launcher.process.exitcode == -signal.SIGKILL:
                self._injected(kind)

    def _kill_recovery(self, kind):
        process = self._helper(_recover, die_at=self.random.randint(1, 12))
        process.join(60)
        if process.exitcode == -signal.SIGKILL:
            self._injected(kind)

    def _restart_database(self, kind):
        self.soak.server.kill()
        time.sleep(self.random.uniform(0.1, 2.0))
        self.soak.server.start()
        self._injected(kind)

    def _submit_again(self, kind):
        for _ in range(2):
            self._helper(_submit)
        self._join_helpers()
        self._injected(kind)

    def _queue_job(self, kind):
        """Hand a job to the queue, to be cancelled or timed out a little later."""
        if len(self.jobs) < 2:
            asked = self._helper(_to_queue, FORKING.Queue())
            asked.join(30)
            if not asked.answer.empty() and (job := asked.answer.get()):
                later = 0.0 if kind == TIMED_OUT else self.random.uniform(0.0, 8.0)
                self.jobs[job] = kind, time.monotonic() + later

    def _watch_jobs(self):
        run = self.soak.slurm.run if self.soak.slurm else None
        for job, (kind, when) in list(self.jobs.items()):
            told = run("squeue", "-h", "-t", "all", "-j", job, "-o", "%T")
            if told in {"CANCELLED", "TIMEOUT"}:
                self._injected(kind)
            if told not in {"PENDING", "RUNNING", "STOPPED", "COMPLETING"}:
                del self.jobs[job]
            elif kind == CANCELLED and time.monotonic() > when:
                run("scancel", job)
            elif kind == TIMED_OUT and told == "RUNNING" and time.monotonic() > when:
                # It hangs until its time is over.
                run("scancel", "-s", "STOP", "--full", job)
                run("scontrol", "update", f"jobid={job}", "timelimit=0")
                self.jobs[job] = kind, float("inf")

    def _helper(self, function, answer=None, die_at=0):
        """A process that works on the campaign beside the launchers."""
        process = FORKING.Process(target=_beside, args=(self, function, answer, die_at))
        process.answer = answer
        process.start()
        self.helpers = [*(one for one in self.helpers if one.is_alive()), process]
        return process

    def _join_helpers(self):
        for helper in self.helpers:
            helper.join(120)


def outcome(store, savings):
    """What a campaign came to, without what differs from run to run."""
    return {
        "relaxations": {one.key: (one.state, one.ionic_steps, one.start) for one in store.relaxations()},
        "predictions": {one.key: one.passed for one in store.predictions()},
        "savings": {one.configuration_id: (one.pair_state, one.steps_saved) for one in savings},
    }


def _beside(round_, function, answer, die_at):
    with (round_.folder / "helpers.log").open("a") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        if die_at:
            die_at_write(die_at)
        with Cluster.open(round_.configuration) as cluster:
            told = function(round_, cluster)
    if answer is not None:
        answer.put(told)
        answer.close()
        answer.join_thread()
    os._exit(0)


def _submit(round_, cluster):
    return submit(plan_submission(round_.soak.campaign, cluster, round_.folder / "runs"), cluster)


def _recover(_, cluster):
    submission = submission_named(cluster.launchpad, "copper")
    recovery = recover(cluster, submission, Rescue(SILENT, again=True, patience=PATIENCE))
    sys.stdout.write(f"{recovery}\n")
    sys.stdout.flush()


def _to_queue(round_, cluster):
    """Reserve what is ready and put it into Slurm; the job's number."""
    from fireworks import FWorker
    from fireworks.queue.queue_launcher import launch_rocket_to_queue

    place = round_.folder / "queue"
    place.mkdir(exist_ok=True)
    path = round_.configuration.path
    adapter = round_.configuration.adapter(path / "qadapter-cpu.yaml")
    worker = FWorker.from_file(str(path / "worker-cpu.yaml"))
    options = {"reserve": True, "create_launcher_dir": True}
    return launch_rocket_to_queue(cluster.launchpad, worker, adapter, str(place), **options)
