from __future__ import annotations

import base64
import gzip

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from definet_flows.analysis.report.coordinates import QUANTUM, displacements, packed_coordinates
from definet_flows.records.extract import record_from_relaxation

QUANTA = st.integers(-(2**15) + 1, 2**15 - 1)


def unpacked(text, shapes):
    """What the page's script does, over again: structures of each configuration from their differences."""
    low, middle, high = np.frombuffer(gzip.decompress(base64.b64decode(text)), np.uint8).reshape(3, -1).astype(np.int64)
    folded = low + 256 * middle + 65536 * high
    values = iter(np.where(folded % 2, -(folded + 1) // 2, folded // 2))
    read = []
    for count, sites in shapes:
        before = np.zeros((sites, 3), np.int64)
        for _ in range(count):
            before = before + np.array([next(values) for _ in range(3 * sites)]).reshape(sites, 3)
            read.append(before)
    return read


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), max_size=4), st.data())
def test_what_is_packed_can_be_unpacked(shapes, data):
    configurations = [
        [data.draw(arrays(np.int16, (sites, 3), elements=QUANTA)) for _ in range(count)] for count, sites in shapes
    ]
    read = unpacked(packed_coordinates(configurations), shapes) if any(count for count, _ in shapes) else []
    given = [structure for structures in configurations for structure in structures]
    assert len(read) == len(given)
    assert all((one == other).all() for one, other in zip(read, given, strict=True))


def test_displacements_are_those_of_the_nearest_image_and_vacancies_do_not_move(copper):
    configuration = copper.configuration({0: "Vac", 5: "Al"})
    host = configuration.host
    record = record_from_relaxation(configuration, copper.relaxation(configuration), copper.ENGINE, "test")
    moved = np.random.default_rng(0).normal(scale=0.1, size=(host.n_sites, 3))
    wrapped = host.positions + moved + host.lattice[0] - 2 * host.lattice[2]
    quanta = displacements(wrapped.tolist(), host, record)
    moved[~configuration.occupied] = 0.0
    np.testing.assert_allclose(quanta * QUANTUM, moved, atol=QUANTUM / 2 + 1e-9)


def test_the_same_structures_are_the_same_text():
    structures = [[np.arange(12, dtype=np.int16).reshape(4, 3)]]
    assert packed_coordinates(structures) == packed_coordinates(structures)
