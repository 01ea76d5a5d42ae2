from __future__ import annotations

import json
import logging

import numpy as np
import pytest
from ase import Atoms
from ase.io import write

from definet_flows.defects import DefectConfiguration, Host
from definet_flows.errors import InputError
from definet_flows.training.datasets.labels import LabelError, centred_displacements
from definet_flows.training.datasets.sources import read_source
from tests.training.conftest import host_of
from tests.training.datasets.twodmd_tree import placements_of, pulled

HOST = host_of(4)
PLACEMENTS = placements_of(HOST, np.random.default_rng(0), [1, 2, 2, 3])


def frame(placement, fraction=0.0, shuffle=None, **entries):
    """A configuration part of the way to its relaxed structure, its atoms in random order."""
    structure = placement.structure(HOST.positions + fraction * pulled(placement))
    order = np.arange(len(structure)) if shuffle is None else np.random.default_rng(shuffle).permutation(len(structure))
    numbers = [structure[i].specie.Z for i in order]
    atoms = Atoms(numbers, structure.cart_coords[order], cell=structure.lattice.matrix, pbc=True)
    atoms.info.update(entries)
    return atoms


def pairs(**entries):
    return [
        frame(p, fraction, shuffle=2 * i + int(fraction), **entries)
        for i, p in enumerate(PLACEMENTS)
        for fraction in (0, 1)
    ]


@pytest.fixture
def here(tmp_path):
    """A folder with the host beside every file that tests write there."""
    for stem in ("pairs", "run", "cell_unrelaxed", "cell_relaxed", "notes"):
        (tmp_path / f"{stem}.host.json").write_text(json.dumps(HOST.to_dict()))
    return tmp_path


def holds(labels, placements=PLACEMENTS):
    """Whether labels are those of these placements, within what files round off."""
    wanted = {}
    for placement in placements:
        configuration = DefectConfiguration.create(HOST, dict(placement.defects))
        wanted[configuration] = centred_displacements(configuration, HOST.positions + pulled(configuration))
    found = dict(zip(labels.configurations, labels.displacements, strict=True))
    return (
        labels.host == HOST
        and found.keys() == wanted.keys()
        and all(np.allclose(found[configuration], label, rtol=0, atol=5e-5) for configuration, label in wanted.items())
    )


def test_pairs_in_one_file(here):
    write(here / "pairs.xyz", pairs(), format="extxyz")
    (labels,) = read_source(here / "pairs.xyz")
    assert holds(labels)
    assert labels.teacher == {"name": "unnamed", "source": "files"}
    assert labels.density is None


@pytest.mark.parametrize("named", ["cell_unrelaxed.xyz", "cell_relaxed.xyz"])
def test_pairs_in_two_files(here, named):
    both = pairs()
    write(here / "cell_unrelaxed.xyz", both[::2], format="extxyz")
    write(here / "cell_relaxed.xyz", both[1::2], format="extxyz")
    assert holds(read_source(here / named, teacher="PBE")[0])
    assert read_source(here / named, teacher="PBE")[0].teacher["name"] == "PBE"


def test_of_a_trajectory_the_first_and_the_last_frame_are_taken(here):
    write(here / "run.traj", [frame(PLACEMENTS[3], fraction) for fraction in (0, 0.3, 0.9, 1)])
    assert holds(read_source(here / "run.traj")[0], PLACEMENTS[3:])


def test_trajectories_after_one_another(here):
    steps = [frame(p, fraction, configuration_id=f"c{i}") for i, p in enumerate(PLACEMENTS) for fraction in (0, 0.5, 1)]
    write(here / "run.xyz", steps, format="extxyz")
    assert holds(read_source(here / "run.xyz")[0])
    for atoms in steps:
        atoms.info.clear()
    write(here / "run.xyz", steps, format="extxyz")
    assert holds(read_source(here / "run.xyz")[0])


def test_the_host_may_be_given(tmp_path):
    write(tmp_path / "pairs.xyz", pairs(), format="extxyz")
    assert holds(read_source(tmp_path / "pairs.xyz", host=HOST)[0])
    with pytest.raises(
        LabelError, match=r"The host of .*pairs.xyz is not known: import it with `definet-flows labels import"
    ):
        read_source(tmp_path / "pairs.xyz")
    (tmp_path / "pairs.host.json").write_text("{")
    with pytest.raises(LabelError, match=r"pairs.host.json is not a host"):
        read_source(tmp_path / "pairs.xyz")
    (tmp_path / "pairs.host.json").write_text("{}")
    with pytest.raises(InputError, match="not the record of a host"):
        read_source(tmp_path / "pairs.xyz")


def test_a_frame_in_another_setting_of_the_same_cell(here):
    """A file whose axes are turned against the host's gives the same labels."""
    turned = pairs()
    for atoms in turned:
        atoms.rotate(37, (1, 2, 3), rotate_cell=True)
    write(here / "pairs.traj", turned)
    assert holds(read_source(here / "pairs.traj")[0])


def without_partner(frames):
    del frames[3]


def with_nan(frames):
    frames[3].positions[5] = np.nan


def with_other_atoms(frames):
    frames[3].numbers[0] = 8


def in_another_cell(frames):
    frames[3].set_cell(frames[3].cell * [1.01, 1, 1], scale_atoms=True)


def in_no_cell(frames):
    frames[3].set_cell(None)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            without_partner,
            "pairs.traj, frame 3: The unrelaxed and the relaxed frame have different atoms, or one is missing",
        ),
        (with_nan, "pairs.traj, frame 3 to 4: The frame has coordinates that are not finite"),
        (with_other_atoms, "pairs.traj, frame 3: The unrelaxed and the relaxed frame have different atoms"),
        (in_another_cell, "pairs.traj, frame 3 to 4: The relaxed cell differs from the unrelaxed one"),
        (in_no_cell, "pairs.traj, frame 3 to 4: The frame has no cell"),
    ],
)
def test_a_bad_pair_ends_the_reading_or_is_listed_and_left_out(here, caplog, spoil, message):
    frames = pairs()
    spoil(frames)
    write(here / "pairs.traj", frames)
    with pytest.raises(LabelError, match=message):
        read_source(here / "pairs.traj")
    assert holds(read_source(here / "pairs.traj", skip_bad=True)[0], [p for i, p in enumerate(PLACEMENTS) if i != 1])
    assert any(
        record.levelno == logging.WARNING and message.split(":")[0] in record.getMessage() for record in caplog.records
    )


def test_files_that_do_not_belong_together(here):
    both = pairs()
    write(here / "cell_unrelaxed.xyz", both[::2], format="extxyz")
    with pytest.raises(LabelError, match=r"cell_unrelaxed.xyz has no partner: .*cell_relaxed.xyz is missing"):
        read_source(here / "cell_unrelaxed.xyz")
    write(here / "cell_relaxed.xyz", both[1:-2:2], format="extxyz")
    with pytest.raises(LabelError, match=r"has 4 frames but .*cell_relaxed.xyz has 3; each needs its partner"):
        read_source(here / "cell_unrelaxed.xyz")


def test_files_that_are_no_relaxations(here):
    (here / "notes.txt").write_text("no frames")
    with pytest.raises(LabelError, match=r"notes.txt is not a label set nor anything ASE reads"):
        read_source(here / "notes.txt")
    write(here / "pairs.xyz", pairs(), format="extxyz")
    with pytest.raises(LabelError, match=r"pairs.xyz.*is not the BP supercell"):
        read_source(here / "pairs.xyz", host=Host.from_preset("BP", (3, 3, 1)))
    with pytest.raises(LabelError, match="has no relaxation that can be used"):
        read_source(here / "pairs.xyz", skip_bad=True, host=Host.from_preset("BP", (3, 3, 1)))
