from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from definet_flows.flows import load_campaign
from definet_flows.flows.plan import plan_runs
from definet_flows.records import StoreContentError, open_store

KILLS = 5


def snapshot(directory):
    """Every document with its times: what is finished must never be written again."""
    try:
        with open_store(directory, read_only=True) as store:
            return {
                **{record.key: record for record in store.relaxations(positions=True)},
                **{record.key: record for record in store.predictions(positions=True)},
            }
    except StoreContentError:
        return {}


def gone(pid):
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.slow
@pytest.mark.parametrize("seed", [11])
def test_a_campaign_survives_kill_9_at_any_moment(misbehaving, in_workers, tmp_path, seed):
    """Killed while starting, and then after a random number of steps and a random delay, until it is left to finish."""
    generator = random.Random(seed)
    path, directory = misbehaving(delay=0.05), tmp_path / "run"
    command = [sys.executable, str(in_workers / "run.py"), str(path), str(directory), "2"]
    finished = {}
    for attempt in range(KILLS):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        steps = 0 if attempt == 0 else generator.randint(1, 10)
        for _ in range(steps):
            if process.stdout.readline().startswith("finished"):
                pytest.fail("the campaign was over before it could be killed often enough; make it slower")
        time.sleep(generator.uniform(0, 3 if attempt == 0 else 0.4))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        now = snapshot(directory)
        assert {key: now[key] for key in finished} == finished
        finished = now
    workers = {int(line.split()[0]) for line in (tmp_path / "evaluations").read_text().splitlines()}
    assert all(gone(pid) for pid in workers)
    assert len(finished) > 0

    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    after = snapshot(directory)
    assert {key: after[key] for key in finished} == finished
    campaign = load_campaign(path)
    with open_store(directory, read_only=True) as store:
        host = store.host(campaign.host.host().fingerprint)
        configurations = campaign.configurations.configurations(host)
        predictions = {record.configuration_id: record for record in store.predictions()}
        planned = [run.key for run in plan_runs(campaign, host, configurations, predictions)]
        assert sorted(record.key for record in store.relaxations()) == sorted(planned)
        assert len(predictions) == len(configurations)
        assert set(store.states().values()) == {"converged"}
    skipped = len([key for key in planned if key in finished])
    assert f"finished {len(planned) - skipped} {skipped}" in ended.stdout
