"""Label small supercells of the six hosts with ML potentials, at low and at high defect density, to 0.002 eV/Å.

The held-out configurations of workflows/six-hosts/held-out/ were drawn before (benchmarks/draw_six_hosts.py); labels of their
clusters are left out by training. Saves as it goes and goes on where it stopped. With ``--start-from`` relaxations begin at a
checkpoint's structures, which takes fewer evaluations; what it was not trained on begins unrelaxed. Run with

    python benchmarks/label_six_hosts.py OUT_DIR [--workers 2] [--host MoS2 ...] [--section mos2-5x5-low ...]
        [--start-from MODEL] [--limit-seconds 3600]
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from draw_six_hosts import VACUUM, WORKFLOWS
from label_mos2 import TIGHT
from labelling import FromForceConstants, Section, converged, relaxed

from definet_flows.defects import (
    HOST_PRESETS,
    DefectConfiguration,
    Host,
    enumerate_configurations,
    low_density_recipes,
)
from definet_flows.engines import ForceFieldEngine
from definet_flows.engines.hessian import pristine_hessian
from definet_flows.jobs.selection import Selection, select
from definet_flows.training.datasets.labels import LabelSet

SEED = 20261124
TEACHERS = dict.fromkeys(("GaSe", "InSe", "BP"), "7net-0")
"""Where CHGNet is not the teacher: see benchmarks/teacher_stability.py."""


def teacher(host: str) -> ForceFieldEngine:
    """What relaxes the labels of a host."""
    return TIGHT.model_copy(update={"potential": TEACHERS.get(host, TIGHT.potential)})


def draw(section: Section) -> list[DefectConfiguration]:
    """The configurations, the same in every run: low density stratified by type, high density by concentration."""
    host = teacher(section.host).relaxed_host(Host.from_preset(section.host, (section.n, section.n, 1), vacuum=VACUUM))
    if section.density == "high":
        return section.sample(host, SEED)
    recipes = [one for one in low_density_recipes(section.host) if one.count("V_") >= section.least_vacancies]
    listed = [c for recipe in recipes for c in enumerate_configurations(host, recipe)]
    before = labelled_before(section.host) | drawn_of_all_types(section)
    listed = [c for c in listed if c.placement_id not in before]
    wanted = Selection(count=min(section.n_labels, len(listed)), seed=SEED)
    return select(listed, wanted, lambda _: True)


@cache
def labelled_before(host: str) -> frozenset[str]:
    """Placements of a host that benchmarks/label_mos2.py has labelled."""
    files = sorted((WORKFLOWS / "mos2" / "labels").glob("*.safetensors")) if host == "MoS2" else []
    return frozenset(one.placement_id for file in files for one in LabelSet.load(file).configurations)


def drawn_of_all_types(section: Section) -> frozenset[str]:
    """Placements of the section of all types, where this one is of those with vacancies."""
    if not section.least_vacancies:
        return frozenset()
    return frozenset(
        c.placement_id
        for one in SECTIONS
        if (one.host, one.n, one.density, one.least_vacancies) == (section.host, section.n, section.density, 0)
        for c in draw(one)
    )


SECTIONS = (
    *(Section("hBN", n, "low", 160) for n in (6, 3, 4)),
    *(Section(host, 4, "low", 120) for host in ("GaSe", "InSe", "BP")),
    *(Section(host, 5, "low", 1000) for host in ("MoS2", "WSe2")),
    *(Section(host, 6, "low", 40) for host in ("GaSe", "InSe", "BP")),
    *(Section(host, 6, "low", 400) for host in ("MoS2", "WSe2")),
    *(Section(host, 7, "low", 500) for host in ("MoS2", "WSe2")),
    *(Section(host, 8, "low", 200) for host in ("MoS2", "WSe2")),
    Section("hBN", 8, "low", 60),
    *(Section(host, 10, "low", 100) for host in ("MoS2", "WSe2")),
    *(Section(host, 12, "low", 34) for host in ("MoS2", "WSe2")),
    *(Section(host, 14, "low", 24) for host in ("MoS2", "WSe2")),
    *(Section(host, n, "low", count, 2) for n, count in ((12, 60), (14, 40), (10, 80)) for host in ("MoS2", "WSe2")),
    *(Section(host, 4, "high", 80) for host in ("GaSe", "InSe", "BP")),
    *(Section(host, 5, "high", 100) for host in ("MoS2", "WSe2")),
    Section("hBN", 6, "high", 100),
)
"""For MoS2 the low density in other supercells, and part of this one, was made by benchmarks/label_mos2.py. Labels of MoS2, WSe2
and h-BN in the repository that have ``initial_hessian: 15.0`` among their settings were made when BFGS still began with one
number."""


def label(section: Section, out: Path, pool: Any, until: float, model: str | None) -> bool:
    """Relax what the journal does not hold yet and write the converged labels; False where time ran out."""
    plain = teacher(section.host)
    engine = FromForceConstants(**dict(plain))
    outcomes = relaxed(draw(section), out / f"{section.stem}.jsonl", engine, pool, until, model)
    if outcomes is None:
        return False
    labels = LabelSet.of(converged(outcomes, section.stem), engine.physics)
    force_constants = pristine_hessian(plain, labels.host).astype(np.float32)
    file = out / f"{section.stem}.safetensors"
    replace(labels, density=section.density, force_constants=force_constants).save(file)
    return True


def main() -> None:
    """Label section after section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--host", action="append", choices=list(HOST_PRESETS), help="only these; all by default")
    parser.add_argument("--section", action="append", choices=[one.stem for one in SECTIONS], help="only these")
    parser.add_argument("--start-from", metavar="MODEL")
    parser.add_argument("--limit-seconds", type=float, default=3600)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + arguments.limit_seconds
    with multiprocessing.get_context("spawn").Pool(arguments.workers) as pool:
        for section in SECTIONS:
            wanted = not arguments.host or section.host in arguments.host
            wanted = wanted and (not arguments.section or section.stem in arguments.section)
            if wanted and not label(section, arguments.out, pool, until, arguments.start_from):
                pool.terminate()
                break


if __name__ == "__main__":
    main()
