"""Runs of the engine's own, through custodian, adopted as if a group had made them."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from definet_flows.records import RecordStore
from definet_flows.records.adoption import adopt_directories, named_origin
from tests import vasp_runs


def test_adoption_tells_the_same_as_the_engine(engine, pair, tmp_path):
    bracketing = {"do": "print", "text": "ZBRENT: fatal error in bracketing", "after": 3, "times": 1}
    ours = engine([bracketing]).relax(pair)
    with RecordStore.in_memory() as store:
        (found,) = adopt_directories(store, [tmp_path / "vasp"], pair.host, named_origin(), 0.01, "adopted")
    record = found.record
    assert (record.configuration_id, record.start, record.state) == (pair.id, "unrelaxed", "converged")
    assert (record.ionic_steps, record.electronic_steps) == (ours.ionic_steps, ours.electronic_steps)
    assert (record.energy, record.max_force_history) == (ours.energy, ours.max_force_history)
    assert (record.details.attempts, record.details.corrections) == (ours.details.attempts, ours.details.corrections)
    assert [attempt.source for attempt in record.details.attempts] == ["error.1.tar.gz", "."]
    assert [correction.errors for correction in record.details.corrections] == [["zbrent"]]
    assert np.allclose(record.positions, ours.positions)


PBE_54 = "POT_GGA_PAW_PBE_54"
GROUPS_INCAR = """
PREC = accurate ; ENCUT = 500.0 ; GGA = PE ; ISPIN = 2 ; LASPH = .TRUE.
EDIFF = 1E-06   ; EDIFFG = -1E-2
ISMEAR = 0      ; SIGMA = 5E-2
IBRION = 2      ; NSW = 80 ; ISYM = 0
ALGO = Fast     ; NELM = 100
"""


def test_a_groups_run_is_the_other_start_of_the_engines_where_both_are_read_from_files(engine, pair, potcars, tmp_path):
    """The group writes the same settings in its own way, leaves out VASP's defaults, and has limits of its own."""
    ours = Path(engine().relax(pair).details.directory)
    theirs = vasp_runs.write_inputs(tmp_path / "theirs", vasp_runs.shaken(pair.structure()))
    (theirs / "INCAR").write_text(GROUPS_INCAR)
    (theirs / "KPOINTS").write_bytes(gzip.decompress((ours / "KPOINTS.gz").read_bytes()))
    (theirs / "POTCAR").write_text(
        "".join((potcars / PBE_54 / f"POTCAR.{name}").read_text() for name in ("Al", "Cu_pv"))
    )
    vasp_runs.run_standin(theirs)
    with RecordStore.in_memory() as store:
        adopted = adopt_directories(store, [ours, theirs], pair.host, named_origin(), 0.01, "adopted")
    assert [one.record.start for one in adopted] == ["unrelaxed", "prerelaxed"]
    assert len({one.record.engine.physics_hash for one in adopted}) == 1
    assert [one.paired for one in adopted] == [True, True]
