"""All checks, one group after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

from definet_flows.launch.doctor import configuration, database, machine, queues, vasp, versions, workers
from definet_flows.launch.doctor.findings import Finding, Subject, failed

GROUPS: dict[str, Callable[[Subject], Iterator[Finding]]] = {
    "versions": versions.check,
    "configuration": configuration.check,
    "database": database.check,
    "workers": workers.check,
    "queues": queues.check,
    "VASP": vasp.check,
    "this machine": machine.check,
}


def examine(subject: Subject) -> list[Finding]:
    """Everything there is to check.

    Parameters
    ----------
    subject
        The configuration folder and the campaign, where there are any.

    Returns
    -------
    list of Finding
        In the order of the groups.
    """
    with closing(subject):
        return [found.model_copy(update={"group": group}) for group in GROUPS for found in _of_group(group, subject)]


def _of_group(group: str, subject: Subject) -> Iterator[Finding]:
    try:
        yield from GROUPS[group](subject)
    # The point of a doctor is the whole picture: what breaks one group, which may be anything in a configuration that is
    # broken, must not hide what the others find.
    except Exception as error:  # noqa: BLE001
        yield failed(group, f"could not be checked ({type(error).__name__}: {' '.join(str(error).split())})")
