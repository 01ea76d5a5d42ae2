"""Ionic steps from DefiNet's structure and from what else one could start from, one engine, one run; and where each start leads.

Relaxes the configurations of a campaign file with its engine from: the unrelaxed structure, bonds scaled by covalent radii, the
structures of the campaign's checkpoint and of others (``--network NAME=MODEL``, such as a defect-blind one), those relaxed by a
potential (``--potential``, where the engine is DFT), and the unrelaxed structure with its symmetry broken (``--rattle``). Counts
lost runs as definet_flows.analysis.savings does. With ``--settle`` ends that lie apart are relaxed on to a smaller threshold
before they are called two minima. With ``--records`` what a results directory holds of the same engine's relaxations from the
unrelaxed start and from the checkpoints is not run again. Goes on where it stopped. Run with

    python benchmarks/alternatives.py CAMPAIGN.yaml OUT_DIR [--network NAME=MODEL ...] [--potential NAME] [--rattle 0.05]
        [--settle 0.001] [--records RESULTS_DIR]
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from labelling import FromForceConstants, load_journal, settling

from definet_flows.analysis.bootstrap import bootstrap, reduction_of_totals
from definet_flows.analysis.savings import Threshold, charged_steps
from definet_flows.defects import DefectConfiguration
from definet_flows.engines import ForceFieldEngine, Relaxation
from definet_flows.engines.starts import start_of
from definet_flows.flows.campaign import Campaign
from definet_flows.flows.reading import load_campaigns
from definet_flows.records import RecordStore, open_store
from definet_flows.records.documents import RelaxationRecord, RunFigures
from definet_flows.records.minimum import Comparison, End, compare_ends
from definet_flows.training.studies.methods import DoNothing, Guess, Method, NetworkMethod, PotentialMethod, ScaledBonds

Run = dict[str, Any]
Results = dict[str, dict[str, Run]]
"""Name of the start to configuration id to what came of it."""


class Journal:
    """What has been run, on disk, one line each."""

    def __init__(self, out: Path) -> None:
        self._path = out / "relaxations.jsonl"
        self._done = load_journal(self._path)

    def kept(self, key: str, run: Callable[[], Run]) -> Run:
        """What is on record of a key, after running it where nothing is."""
        if key not in self._done:
            self._done[key] = {"placement_id": key, **run()}
            with self._path.open("a", encoding="utf-8") as stream:
                stream.write("\n" + json.dumps(self._done[key]))
        return self._done[key]


class Unrelaxed(DoNothing):
    """The baseline, by the name that it has here."""

    def __init__(self) -> None:
        super().__init__()
        self.name = "unrelaxed"


class Rattled(Method):
    """The unrelaxed structure, every coordinate displaced at random by a seed of its own."""

    def __init__(self, deviation: float) -> None:
        super().__init__(f"unrelaxed, rattled by {deviation:g} Å", f"rattled-{deviation:g}")
        self._deviation = deviation

    def guess(self, configuration: DefectConfiguration) -> Guess:
        """Away from the symmetric start, which may be a saddle point."""
        return Guess(start_of(configuration, None, self._deviation))


def starts(campaign: Campaign, networks: Sequence[str], potential: str | None, rattle: float | None) -> list[Method]:
    """What is compared; the unrelaxed start comes first."""
    if campaign.model is None and not networks:
        raise SystemExit(f"{campaign.name} names no model to compare with the alternatives; give one with --network.")
    chosen: list[Method] = [Unrelaxed(), ScaledBonds()]
    chosen += [NetworkMethod(*one.split("=", 1)) for one in networks]
    if campaign.model:
        chosen.append(NetworkMethod("DefiNet", campaign.model.checkpoint))
    if potential:
        chosen.append(PotentialMethod(potential, 0.01))
    if rattle:
        chosen.append(Rattled(rattle))
    return chosen


def relaxed(
    campaigns: Sequence[Campaign], methods: Sequence[Method], out: Path, journal: Journal, records: RecordStore
) -> tuple[dict[str, DefectConfiguration], Results]:
    """All starts of each configuration in turn, one host after the other; configurations by id, and what came of them."""
    results: Results = {method.name: {} for method in methods}
    listed: dict[str, DefectConfiguration] = {}
    for campaign in campaigns:
        engine = campaign.engine.in_campaign(out, campaign.host.host())
        host = engine.relaxed_host(campaign.host.host())
        configurations = list(campaign.configurations.configurations(host))
        listed |= {one.id: one for one in configurations}
        for method in methods:
            method.prepare(configurations[0])
        for configuration, method in product(configurations, methods):
            key = f"{configuration.id} {method.identity} {engine.physics_hash}"
            known = on_record(records, engine, configuration, method)
            run = known or journal.kept(key, partial(one_run, engine, configuration, method))
            results[method.name][configuration.id] = run
    return listed, results


def on_record(records: RecordStore, engine: Any, configuration: DefectConfiguration, method: Method) -> Run | None:
    """What a results store holds of a relaxation, as `one_run` tells it."""
    if isinstance(method, Unrelaxed) or moves_nothing(method, configuration):
        start = {"start": "unrelaxed"}
    elif isinstance(method, NetworkMethod):
        start = {"start": "prerelaxed", "checkpoint_hash": method.identity}
    else:
        return None
    criteria = {"configuration_id": configuration.id, "engine.physics_hash": engine.physics_hash, **start}
    record = next(records.relaxations(criteria, positions=True), None)
    if record is None:
        return None
    told = {name: getattr(record, name) for name in Relaxation.model_fields if name in RelaxationRecord.model_fields}
    outcome = Relaxation(
        converged=record.state == "converged",
        error=record.reason if record.state == "failed" else None,
        engine_version=record.engine.version,
        **told,
    )
    return {
        "placement_id": record.key,
        "seconds": record.prerelax_seconds or 0.0,
        "error": None,
        "outcome": outcome.model_dump(mode="json"),
    }


def moves_nothing(method: Method, configuration: DefectConfiguration) -> bool:
    """Whether a start is the unrelaxed one by another name, as scaled bonds are where there are vacancies only."""
    return isinstance(method, ScaledBonds) and np.array_equal(
        method.guess(configuration).positions, configuration.host.positions
    )


def one_run(engine: Any, configuration: DefectConfiguration, method: Method) -> Run:
    """A guess and the relaxation from it; no relaxation where there is no guess."""
    began = perf_counter()
    guess = method.guess(configuration)
    seconds = perf_counter() - began
    outcome = None if guess.positions is None else engine.relax(configuration, guess.positions)
    return {
        "seconds": seconds,
        "error": guess.error,
        "outcome": outcome and outcome.model_dump(mode="json"),
    }


def figures(run: Run) -> RunFigures:
    """A relaxation as the savings table counts it; steps and state only."""
    outcome = Relaxation.model_validate(run["outcome"])
    untold = dict.fromkeys(RunFigures.model_fields)
    state = "converged" if outcome.converged else "failed" if outcome.error else "unconverged"
    return RunFigures(**untold | {"key": "", "state": state, "ionic_steps": outcome.ionic_steps})


def counted_steps(run: Run, unrelaxed: Run) -> tuple[int, int]:
    """Ionic steps charged to the unrelaxed start and to this one; where there was no guess, both are the unrelaxed run."""
    baseline = figures(unrelaxed)
    return charged_steps(baseline, baseline if run["outcome"] is None else figures(run), Threshold.ENGINE)


def saved(steps: np.ndarray) -> str:
    """Share of the total steps saved, with its interval."""
    share, interval = float(reduction_of_totals(steps)), bootstrap(steps, reduction_of_totals)
    return f"{share:.0%}" + (f" [{interval[0]:.0%}, {interval[1]:.0%}]" if interval else "")


def comparison(configuration: DefectConfiguration, first: Run, second: Run, engine: str) -> Comparison | None:
    """Where two starts ended; None where one of them came to no end."""
    ends = []
    for run in (first, second):
        outcome = run["outcome"] and Relaxation.model_validate(run["outcome"])
        if not outcome or not outcome.converged:
            return None
        positions = np.array(outcome.positions)[configuration.occupied]
        ends.append(End(positions, outcome.energy, outcome.total_moment))
    one, other = ends
    return compare_ends(one, other, configuration.host.lattice, engine)


class Ends:
    """Tells the minima that two starts led to apart.

    Parameters
    ----------
    journal
        Where relaxations that go on from an end are kept.
    engine
        What relaxed; a force field where there is a threshold.
    threshold
        eV/Å to which ends that lie apart are relaxed on; None to take them as they are.
    """

    def __init__(self, journal: Journal, engine: Any, threshold: float | None) -> None:
        self._journal = journal
        self._name = engine.name
        self._further = settling(engine, threshold) if threshold else None

    def compared(self, configuration: DefectConfiguration, first: Run, second: Run) -> Comparison | None:
        """Where two starts ended; None where one of them came to no end."""
        found = comparison(configuration, first, second, self._name)
        if found is None or found.same or self._further is None:
            return found
        one, other = (self._settled(self._further, configuration, run) for run in (first, second))
        return comparison(configuration, one, other, self._name)

    def _settled(self, further: FromForceConstants, configuration: DefectConfiguration, run: Run) -> Run:
        def gone_on() -> Run:
            return {
                "outcome": further.relax(configuration, np.array(run["outcome"]["positions"])).model_dump(mode="json")
            }

        return self._journal.kept(f"{run['placement_id']} settled {further.physics_hash}", gone_on)


def ends_of(
    configurations: Mapping[str, DefectConfiguration], results: Results, name: str, other: str, ends: Ends
) -> str:
    """How often one start led to the same minimum as another, to a lower or to a higher one."""
    told: Counter[str] = Counter()
    for identity, configuration in configurations.items():
        found = ends.compared(configuration, results[other][identity], results[name][identity])
        told[outcome_of(found)] += 1
    return ", ".join(f"{told[outcome]} {outcome}" for outcome in OUTCOMES if told[outcome])


OUTCOMES = ("same", "lower", "higher", "apart at equal energy", "not converged")


def outcome_of(found: Comparison | None) -> str:
    """One of `OUTCOMES`."""
    if found is None:
        return "not converged"
    if found.same:
        return "same"
    return {"prerelaxed": "lower", "unrelaxed": "higher", "equal": "apart at equal energy"}[found.lower]


def show(campaign: Campaign, configurations: Sequence[str], results: Results) -> None:
    """Print the table; configurations by id."""
    names = list(results)
    unrelaxed = results[names[0]]
    print(f"{len(configurations)} configurations, {campaign.engine.name} {campaign.engine.physics_hash}")
    print(f"{'start':32s} {'median':>6s} {'total':>6s} {'fewer':>18s} {'costlier':>8s} {'failed':>6s} {'ms':>8s}")
    for name in names:
        runs = [results[name][one] for one in configurations]
        pairs = zip(runs, (unrelaxed[one] for one in configurations), strict=True)
        steps = np.array(
            [counted_steps(run, baseline) for run, baseline in pairs], dtype=float
        )  # [n_configurations, 2]
        failed = sum(run["outcome"] is None or not run["outcome"]["converged"] for run in runs)
        milliseconds = 1000 * np.median([run["seconds"] for run in runs])
        print(
            f"{name:32s} {np.median(steps[:, 1]):6.1f} {steps[:, 1].sum():6.0f} {saved(steps):>18s} "
            f"{(steps[:, 1] > steps[:, 0]).sum():8d} {failed:6d} {milliseconds:8.1f}"
        )


def show_ends(configurations: Mapping[str, DefectConfiguration], results: Results, ends: Ends) -> None:
    """Print where every start led."""
    names = list(results)
    references = [names[0], *(name for name in names if name.startswith("unrelaxed, rattled"))]
    for other in references:
        print(f"\nEnds compared with the start {other}:")
        for name in names:
            if name != other:
                print(f"  {name:32s} {ends_of(configurations, results, name, other, ends)}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("campaign", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--network", action="append", default=[], metavar="NAME=MODEL")
    parser.add_argument("--potential", help="start from its relaxation, where the engine is another one")
    parser.add_argument("--rattle", type=float, help="Å, standard deviation of each coordinate")
    parser.add_argument(
        "--settle", type=float, metavar="THRESHOLD", help="eV/Å, to which ends that lie apart are relaxed on"
    )
    parser.add_argument("--records", type=Path, metavar="RESULTS_DIR", help="relaxations that need not be run again")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    campaigns = load_campaigns(arguments.campaign)
    if arguments.settle and not isinstance(campaigns[0].engine, ForceFieldEngine):
        parser.error(
            f"{arguments.campaign} relaxes with {campaigns[0].engine.name}; --settle goes on with a force field only."
        )
    methods = starts(campaigns[0], arguments.network, arguments.potential, arguments.rattle)
    journal = Journal(arguments.out)
    with open_store(arguments.records, read_only=True) if arguments.records else RecordStore.in_memory() as records:
        configurations, results = relaxed(campaigns, methods, arguments.out, journal, records)
    show(campaigns[0], list(configurations), results)
    show_ends(configurations, results, Ends(journal, campaigns[0].engine, arguments.settle))


if __name__ == "__main__":
    main()
