"""What the scripts label_*.py share: sections of labels, and relaxations that go on where they stopped."""

from __future__ import annotations

import json
import math
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

from definet_flows.defects import DefectConfiguration, Host, high_density, sample_configurations
from definet_flows.engines import ForceFieldEngine, Relaxation

Outcomes = list[tuple[DefectConfiguration, Relaxation]]


class Section(NamedTuple):
    """Labels of one host in one supercell, n×n."""

    host: str
    n: int
    density: Literal["low", "high"]
    n_labels: int

    @property
    def stem(self) -> str:
        """Of the file names."""
        return f"{self.host.lower()}-{self.n}x{self.n}-{self.density}"

    def sample(self, host: Host, seed: int) -> list[DefectConfiguration]:
        """Configurations of the high density, as many at each concentration, the same in every run."""
        preset = high_density(self.host)
        each = self.n_labels // len(preset.concentrations)
        return sample_configurations(host, preset.substitutions, preset.concentrations, each, seed, preset.type_cap)


def relax(engine: ForceFieldEngine, configuration: DefectConfiguration) -> dict[str, Any]:
    """Label one configuration on one thread."""
    import torch

    torch.set_num_threads(1)
    outcome = engine.relax(configuration)
    return {"placement_id": configuration.placement_id, "outcome": outcome.model_dump(mode="json")}


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
) -> Outcomes | None:
    """Relax what the journal does not hold yet; None where the time ran out, by `time.monotonic`."""
    done = load_journal(journal)
    waiting = [c for c in configurations if c.placement_id not in done]
    with journal.open("a", encoding="utf-8") as stream:
        for result in pool.imap_unordered(partial(relax, engine), waiting):
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
