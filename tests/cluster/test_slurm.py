from __future__ import annotations

import time


def wait_for_an_empty_queue(slurm):
    end = time.monotonic() + 60
    while slurm.run("squeue", "-h") and time.monotonic() < end:
        time.sleep(0.1)


def test_a_job_runs_in_its_partition(slurm, tmp_path):
    job = tmp_path / "job.sh"
    job.write_text(f"#!/bin/sh\necho $SLURM_JOB_PARTITION $CUDA_VISIBLE_DEVICES > {tmp_path}/told\n")
    slurm.run("sbatch", "--partition=gpu", "--gres=gpu:1", f"--output={tmp_path}/out", str(job))
    wait_for_an_empty_queue(slurm)
    assert (tmp_path / "told").read_text().split() == ["gpu", "0"]


def test_a_cancelled_job_leaves_the_queue(slurm, tmp_path):
    submitted = slurm.run("sbatch", f"--output={tmp_path}/out", "--wrap", "sleep 600")
    assert slurm.run("squeue", "-h", "-o", "%i") == submitted.split()[-1]
    slurm.run("scancel", submitted.split()[-1])
    wait_for_an_empty_queue(slurm)
    assert slurm.run("squeue", "-h") == ""
