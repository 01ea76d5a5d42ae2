"""How far a potential's forces are from DFT's, on every ionic step that GPAW relaxations of a campaign went through.

Compares the potential with the journals of the runs that ``DIR`` has on record, host by host and for the pristine cell, single
defects and larger clusters apart: root mean square of the difference and of the DFT forces themselves (eV/Å per Cartesian
component), cosine, and the slope of a line through the origin (below 1: the potential is too soft). Run with

    python benchmarks/teacher_forces.py DIR [--potential CHGNet]
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from definet_flows.engines.gpaw.engine import JOURNAL
from definet_flows.engines.gpaw.journal import Journal
from definet_flows.engines.potentials import load_potential
from definet_flows.engines.stepping import atoms_of
from definet_flows.records import RecordStore, open_store
from definet_flows.records.documents import RelaxationRecord
from definet_flows.records.extract import pristine_configuration

Forces = npt.NDArray[np.float64]


def compared(store: RecordStore, run: RelaxationRecord, potential: str) -> Iterator[tuple[Forces, Forces]]:
    """DFT forces and the potential's, [n_atoms, 3] eV/Å each, at every ionic step of a run."""
    host = store.host(run.host.fingerprint)
    configuration = pristine_configuration(host) if run.kind == "pristine" else store.configuration(run)
    atoms, _ = atoms_of(configuration, host.positions)
    atoms.calc = load_potential(potential, {}, "cpu")
    for step in Journal(Path(run.details.directory or "") / JOURNAL).steps if run.details else ():
        atoms.positions = np.array(step.positions)
        yield np.array(step.forces), atoms.get_forces()


def kind_of(run: RelaxationRecord) -> str:
    """Which row of the table a run is in."""
    if run.kind == "pristine":
        return f"{run.host.title}, pristine"
    return f"{run.host.title}, {'one defect' if run.n_defects == 1 else f'{run.n_defects} defects'}"


def row(pairs: list[tuple[Forces, Forces]]) -> str:
    """The figures over all atoms of all steps."""
    dft, theirs = (np.concatenate([pair[i].ravel() for pair in pairs]) for i in (0, 1))
    error, size = np.sqrt(np.mean((theirs - dft) ** 2)), np.sqrt(np.mean(dft**2))
    slope = (dft @ theirs) / (dft @ dft)
    cosine = slope * np.linalg.norm(dft) / np.linalg.norm(theirs)
    return f"{len(pairs):6d} {error:8.3f} {size:8.3f} {cosine:7.2f} {slope:6.2f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--potential", default="CHGNet")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, list[tuple[Forces, Forces]]] = defaultdict(list)
    with open_store(arguments.directory, read_only=True) as store:
        for run in store.relaxations({"engine.name": "gpaw"}):
            found[kind_of(run)] += compared(store, run, arguments.potential)
    print(f"{arguments.potential} against GPAW: RMS of the difference, RMS of DFT, in eV/Å")
    print(f"{'':32s} {'steps':>6s} {'error':>8s} {'DFT':>8s} {'cosine':>7s} {'slope':>6s}")
    for kind, pairs in sorted(found.items()):
        if pairs:
            print(f"{kind:32s} {row(pairs)}")


if __name__ == "__main__":
    main()
