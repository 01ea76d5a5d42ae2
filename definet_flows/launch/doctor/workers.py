"""Whether each kind of job has a worker, and no worker takes jobs that are not its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from definet_flows.launch.doctor.findings import Finding, Subject, failed, not_set_up, passed, warned
from definet_flows.launch.hpc.folder import ROLES, ConfigFolder

UNCATEGORISED = {"state": {"$in": ["READY", "WAITING"]}, "spec._category": {"$exists": False}}


def check(subject: Subject) -> Iterator[Finding]:
    """Worker files, and the jobs in the launchpad that none of them takes."""
    folder = subject.folder
    if folder is None or not folder.worker_files:
        yield not_set_up("worker files", "definet-flows hpc init writes worker-gpu.yaml and worker-cpu.yaml")
        return
    served: set[str] = set()
    for file in folder.worker_files:
        yield _worker(folder, file, served)
    for role in ROLES:
        if role not in served:
            yield warned(f"category {role}", "no worker takes its jobs", f"write category: {role} into the file of one")
    if subject.launchpad is not None and (lonely := subject.launchpad.fireworks.count_documents(UNCATEGORISED)):
        yield warned(
            "jobs without a category",
            f"{lonely} wait for a worker that takes jobs of none",
            "submit with definet-flows submit, which gives each a category",
        )


def _worker(folder: ConfigFolder, file: Path, served: set[str]) -> Finding:
    try:
        worker = folder.worker(file)
    except (KeyError, TypeError, ValueError) as error:
        what = f"has no {error}" if isinstance(error, KeyError) else f"cannot be used ({error})"
        return failed(file.name, f"{file} {what}", "a worker has name, category, query ('{}' for all) and env")
    if not worker.category:
        return failed(
            file.name,
            f"the worker {worker.name} has no category, so it takes every job: VASP on GPU nodes, predictions on CPU nodes",
            f"write category: gpu or category: cpu into {file}",
        )
    categories = [worker.category] if isinstance(worker.category, str) else list(worker.category)
    served.update(categories)
    return passed(file.name, f"{worker.name} takes {' and '.join(categories)}")
