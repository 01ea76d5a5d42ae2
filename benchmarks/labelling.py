"""What the scripts label_*.py share: sections of labels, and relaxations that go on where they stopped."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from definet_flows.defects import DefectConfiguration, Host, high_density, sample_configurations
from definet_flows.definet import Prerelaxer
from definet_flows.engines import ForceFieldEngine, Relaxation
from definet_flows.engines.hessian import full_hessian, pristine_hessian, restore_symmetry
from definet_flows.engines.relaxation import FloatArray

Outcomes = list[tuple[DefectConfiguration, Relaxation]]

SOFTEST = 0.3
"""eV/Å², the least curvature that a relaxation begins with: rigid shifts have none, and rough potentials a negative one."""


@cache
def curvatures(potential: str, host: Host) -> FloatArray:
    """[3 n_sites, 3 n_sites] eV/Å², force constants of the pristine host."""
    return restore_symmetry(full_hessian(host, pristine_hessian(ForceFieldEngine(potential=potential), host)))


class FromForceConstants(ForceFieldEngine):
    """The force-field engine, its BFGS begun with the pristine host's force constants instead of one number: far fewer steps."""

    _curvature: FloatArray | None = None

    @property
    def physics(self) -> dict[str, Any]:
        """Settings that change the result, and how it was come to."""
        return super().physics | {"initial_hessian": "force constants of the pristine host"}

    def relax(
        self, configuration: DefectConfiguration, start_positions: FloatArray | None = None, charge: int = 0
    ) -> Relaxation:
        """Relax as the engine does, once the curvature at the atoms that are there is known."""
        there = np.repeat(configuration.occupied, 3)
        values, waves = np.linalg.eigh(curvatures(self.potential, configuration.host)[np.ix_(there, there)])
        self._curvature = (waves * np.maximum(values, SOFTEST)) @ waves.T
        return super().relax(configuration, start_positions, charge)

    def steps_of(self, moved: Any) -> Iterator[bool]:
        """Take the steps of BFGS one by one; after each, whether every force is below the threshold."""
        from ase.optimize import BFGS

        optimizer = BFGS(moved, logfile=None)
        optimizer.H0 = self._curvature
        for below in optimizer.irun(fmax=self.force_threshold, steps=self.max_steps - 1):
            yield bool(below)


def settling(engine: ForceFieldEngine, threshold: float) -> FromForceConstants:
    """What goes on from the ends of a force field's relaxations, to a smaller threshold in eV/Å."""
    return FromForceConstants(**engine.model_dump() | {"force_threshold": threshold, "max_steps": 2000})


class Section(NamedTuple):
    """Labels of one host in one supercell, n×n; at the low density of all types, or only of those with so many vacancies."""

    host: str
    n: int
    density: Literal["low", "high"]
    n_labels: int
    least_vacancies: int = 0

    @property
    def stem(self) -> str:
        """Of the file names."""
        types = f"-{self.least_vacancies}-vacancies" if self.least_vacancies else ""
        return f"{self.host.lower()}-{self.n}x{self.n}-{self.density}{types}"

    def sample(self, host: Host, seed: int) -> list[DefectConfiguration]:
        """Configurations of the high density, as many at each concentration, the same in every run."""
        preset = high_density(self.host)
        each = self.n_labels // len(preset.concentrations)
        return sample_configurations(host, preset.substitutions, preset.concentrations, each, seed, preset.type_cap)


def relax(
    engine: ForceFieldEngine, start: tuple[DefectConfiguration, npt.NDArray[np.float64] | None]
) -> dict[str, Any]:
    """Label one configuration on one thread, from given positions or the unrelaxed ones."""
    import torch

    torch.set_num_threads(1)
    configuration, positions = start
    outcome = engine.relax(configuration, positions)
    return {
        "placement_id": configuration.placement_id,
        "prerelaxed": positions is not None,
        "outcome": outcome.model_dump(mode="json"),
    }


def starts(
    configurations: list[DefectConfiguration], model: str | None
) -> list[tuple[DefectConfiguration, npt.NDArray[np.float64] | None]]:
    """Each with the positions that a checkpoint predicts, where it is given one and its guard lets them pass."""
    if model is None or not configurations:
        return [(c, None) for c in configurations]
    predictions = Prerelaxer(model, device="cpu").predict(configurations)
    return [(p.configuration, p.positions if p.verdict.passed else None) for p in predictions]


def load_journal(journal: Path) -> dict[str, dict[str, Any]]:
    """Results of earlier runs of a script, by placement; a line cut short by a kill is left out."""
    done = {}
    for line in journal.read_text(encoding="utf-8").splitlines() if journal.exists() else ():
        with suppress(json.JSONDecodeError):
            result = json.loads(line)
            done[result["placement_id"]] = result
    return done


def relaxed(
    configurations: list[DefectConfiguration],
    journal: Path,
    engine: ForceFieldEngine,
    pool: Any,
    until: float = math.inf,
    model: str | None = None,
) -> Outcomes | None:
    """Relax what the journal does not hold yet, from a checkpoint's structures if one is named; None where the time ran out."""
    done = load_journal(journal)
    waiting = [c for c in configurations if c.placement_id not in done]
    with journal.open("a", encoding="utf-8") as stream:
        for result in pool.imap_unordered(partial(relax, engine), starts(waiting, model)):
            stream.write("\n" + json.dumps(result))
            stream.flush()
            done[result["placement_id"]] = result
            if time.monotonic() > until:
                return None
    return [(c, Relaxation.model_validate(done[c.placement_id]["outcome"])) for c in configurations]


def converged(outcomes: Outcomes, name: str) -> list[tuple[DefectConfiguration, list[list[float]]]]:
    """Configurations with the positions they came to rest at; prints what all of them cost, failures included."""
    labels = [(c, outcome.positions) for c, outcome in outcomes if outcome.converged and outcome.positions is not None]
    steps = sum(outcome.ionic_steps or 0 for _, outcome in outcomes)
    hours = sum(outcome.core_hours or 0 for _, outcome in outcomes)
    failed = [str(c) for c, outcome in outcomes if not outcome.converged]
    print(
        f"{name}: {len(labels)} labels, {steps} evaluations, {hours:.2f} core-hours, not converged: {failed}",
        flush=True,
    )
    return labels
