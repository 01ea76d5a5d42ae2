"""How well the trust figures of predictions tell the ionic steps that are left to do, on held-out configurations.

Reads the results stores that benchmarks/held_out.py (or any campaign) left, and prints Spearman rank correlations between each
figure of the savings records and the force evaluations of the run from the prediction, with 95 % percentile bootstrap intervals
over configurations; then the same for committees of this checkpoint and one other. Configurations that the checkpoint was
trained on at the same size are left out. Where a campaign's record was written before it told the displacements of the training
labels, they are taken from the checkpoint's card. Run with

    python benchmarks/trust.py DIR... [--model definet-mos2-chgnet]
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from definet_flows.analysis.bootstrap import bootstrap
from definet_flows.analysis.savings import not_trained_on
from definet_flows.analysis.tabular import Row, markdown_table
from definet_flows.definet import Checkpoint, load_checkpoint
from definet_flows.records import SavingsRecord, build_savings, open_store
from definet_flows.records.building.trust import committee_spread, displacement_quantile, trust

UNSEEN = {"same_size": 0, "other_size": 0, "new": 1, "undefined": 1, "unknown": 1}

Figure = Callable[[SavingsRecord], float | None]

FIGURES: dict[str, Figure] = {
    "trust": lambda one: one.trust,
    "displacement_quantile": lambda one: one.displacement_quantile,
    "exposure (0 seen, 1 not)": lambda one: UNSEEN[one.exposure],
    "committee_spread": lambda one: one.committee_spread,
    "n_defects": lambda one: one.n_defects,
    "unrelaxed.ionic_steps, known only afterwards": lambda one: one.unrelaxed.ionic_steps,
}


def held_out(directories: Sequence[str], checkpoint: Checkpoint) -> list[SavingsRecord]:
    """Pairs of a checkpoint whose prerelaxed run converged, with the trust figures that its card gives."""
    found = []
    for directory in directories:
        with open_store(directory, read_only=True) as store:
            found += build_savings(store, {"checkpoint_hash": checkpoint.content_hash})
    shares = checkpoint.card.displacement_shares
    return [
        one.model_copy(
            update={
                "displacement_quantile": displacement_quantile(one.max_displacement, shares),
                "trust": trust(one.guard_passed, one.max_displacement, shares),
            }
        )
        for one in not_trained_on(found)
        if one.prerelaxed.state == "converged"
    ]


def member_spreads(directories: Sequence[str], checkpoint: Checkpoint) -> dict[str, dict[str, float]]:
    """Spread of the committee of the checkpoint and one other, by the other's name and hash, then by configuration id."""
    spreads: dict[str, dict[str, float]] = {}
    for directory in directories:
        with open_store(directory, read_only=True) as store:
            predictions = [one for one in store.predictions(positions=True) if one.positions is not None]
            own = {one.configuration_id: one for one in predictions if one.checkpoint_hash == checkpoint.content_hash}
            for other in predictions:
                if other.configuration_id in own and other.checkpoint_hash != checkpoint.content_hash:
                    atoms = store.configuration(other).occupied
                    pair = [np.array(one.positions)[atoms] for one in (own[other.configuration_id], other)]
                    name = f"with {other.checkpoint} {other.checkpoint_hash[:8]} only"
                    spreads.setdefault(name, {})[other.configuration_id] = committee_spread(pair[0], pair[1:])
    return spreads


def rows(records: Sequence[SavingsRecord], figures: Mapping[str, Figure]) -> list[Row]:
    """Correlation of each figure with the residual steps."""
    lines: list[Row] = []
    for name, figure in figures.items():
        told = [(value, one) for one in records if (value := figure(one)) is not None]
        if not told:
            continue
        values = np.array([value for value, _ in told], dtype=float)
        steps = np.array([one.prerelaxed.ionic_steps for _, one in told], dtype=float)
        low, high = bootstrap(np.stack([values, steps], axis=1), correlations) or (math.nan, math.nan)
        line: Row = {"figure": name, "pairs": len(told), "Spearman": round(correlation(values, steps), 2)}
        line |= {"low": round(low, 2), "high": round(high, 2), "median of the figure": float(np.median(values))}
        lines.append(line)
    return lines


def correlation(values: npt.NDArray[np.float64], steps: npt.NDArray[np.float64]) -> float:
    """Spearman's rank correlation; 0 where one of them is the same everywhere."""
    first, second = ranks(values), ranks(steps)
    spread = first.std() * second.std()
    return float(np.mean((first - first.mean()) * (second - second.mean())) / spread) if spread else 0.0


def correlations(drawn: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Of each of [n_resamples, n_pairs, 2] resampled figures and steps."""
    return np.array([correlation(one[:, 0], one[:, 1]) for one in drawn])


def ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Places in ascending order; equal values share the mean of theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[places])


def steps_by_trust(records: Sequence[SavingsRecord]) -> list[Row]:
    """Residual steps of the least and the most trusted thirds."""
    ranked = sorted((one for one in records if one.trust is not None), key=lambda one: one.trust or 0.0)
    thirds = np.array_split(np.arange(len(ranked)), 3)
    lines: list[Row] = []
    for name, third in zip(("least trusted", "middle", "most trusted"), thirds, strict=True):
        part = [ranked[index] for index in third]
        steps = [one.prerelaxed.ionic_steps or 0 for one in part]
        trusted = [one.trust or 0.0 for one in part]
        line: Row = {
            "third": name,
            "pairs": len(part),
            "trust from": round(min(trusted), 3),
            "to": round(max(trusted), 3),
        }
        figures = {"median steps": float(np.median(steps)), "mean steps": float(np.mean(steps)), "largest": max(steps)}
        lines.append(line | figures)
    return lines


def main() -> None:
    """Measure one checkpoint over the given directories."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directories", nargs="+", metavar="DIR")
    parser.add_argument("--model", default="definet-mos2-chgnet", help="name or folder of the checkpoint")
    arguments = parser.parse_args()
    checkpoint = load_checkpoint(arguments.model)
    records = held_out(arguments.directories, checkpoint)
    if not records:
        raise SystemExit(
            f"No pair of {arguments.model} in {', '.join(arguments.directories)}: run benchmarks/held_out.py first."
        )
    print(f"{len(records)} held-out pairs; rank correlation with the ionic steps from the prediction, 95 % interval\n")
    print(markdown_table(rows(records, FIGURES)))
    spreads = member_spreads(arguments.directories, checkpoint)
    members = {name: lambda one, by_id=by_id: by_id.get(one.configuration_id) for name, by_id in spreads.items()}
    if members:
        print(markdown_table(rows(records, members)))
    print(markdown_table(steps_by_trust(records)))


if __name__ == "__main__":
    main()
