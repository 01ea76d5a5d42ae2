"""``energies``: formation energies at each limit, binding energies and rankings; ``elements``: what they are counted from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from definet_flows.cli.building import AlsoPlace, OptionalPlace, one_place
from definet_flows.cli.output import AsJson, show_csv, show_json, show_table, writable_folder
from definet_flows.errors import DefinetFlowsError, InputError

if TYPE_CHECKING:
    from definet_flows.records.energetics import ChemicalPotentials, ScreenEnergies

IDENTITY = ("host", "sites", "physics hash", "label", "configuration", "charge", "equivalent")
ELEMENT_COLUMNS = {
    "element": "element",
    "phase": "phase",
    "atoms": "n_atoms",
    "k-points": "kpoints",
    "state": "state",
    "steps": "ionic_steps",
    "energy (eV/atom)": "energy_per_atom",
    "structure from": "source",
}
DISTANCE, ABOVE, BINDING = "distance (Å)", "above the lowest (eV)", "binding (eV)"


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("energies", epilog="Example: definet-flows energies demo-run --limit S-rich")(energies)
    app.command("elements", epilog="Example: definet-flows elements demo --dir demo-run")(elements)


def elements(
    campaign: Annotated[
        str, typer.Argument(metavar="CAMPAIGN", help="A campaign file, or the name of one that ships, such as demo.")
    ],
    store: Annotated[
        str, typer.Option("--dir", "--store", metavar="DIR|URI", help="Its results store, which takes the records.")
    ],
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Relax again what did not converge.")] = False,
    as_json: AsJson = False,
) -> None:
    """Relax the elements of a campaign's hosts and dopants, and competing compounds, with its engine, for formation energies."""
    from definet_flows.cli.campaigns import campaign_file
    from definet_flows.flows import load_campaigns
    from definet_flows.flows.elements import relax_elements
    from definet_flows.records import open_store
    from definet_flows.records.address import is_database

    plans = load_campaigns(campaign_file(campaign))
    directory = Path(plans[0].title if is_database(store) else store)
    with open_store(store if is_database(store) else writable_folder(directory)) as opened:
        records = relax_elements(plans, opened, directory, retry_failed=retry_failed)
    if as_json:
        show_json([one.model_dump(mode="json") for one in records])
    else:
        rows = [[_cell(getattr(one, name)) for name in ELEMENT_COLUMNS.values()] for one in records]
        show_table(list(ELEMENT_COLUMNS), rows)
    if lost := [f"{one.element} ({one.reason})" for one in records if one.state != "converged"]:
        raise DefinetFlowsError(f"Not relaxed: {'; '.join(lost)}. Give their energies in a table with --elements.")


def energies(
    place: OptionalPlace = None,
    store: AlsoPlace = None,
    element_table: Annotated[
        Path | None,
        typer.Option(
            "--elements",
            metavar="FILE",
            help="Energies of elemental phases and competing compounds, YAML or JSON; else those that `elements` left.",
        ),
    ] = None,
    limit: Annotated[str | None, typer.Option(metavar="NAME", help="This limit only, such as S-rich.")] = None,
    pairs: Annotated[bool, typer.Option("--pairs", help="Pairs of defects only, by their distance.")] = False,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")] = False,
) -> None:
    """Show formation energies at host-rich limits, binding energies and the ranking within each recipe."""
    from definet_flows.records import open_store
    from definet_flows.records.energetics import check_table, read_element_table, screen_energies

    if as_json and as_csv:
        raise InputError("--json and --csv exclude each other; give one of them.")
    table = None if element_table is None else read_element_table(element_table)
    with open_store(one_place(place, store), read_only=True) as opened:
        screens = screen_energies(opened, table)
        if not screens:
            raise InputError(f"{opened.location} holds no relaxation; run a campaign first.")
        if table is not None:
            check_table(table, screens)
    shown = [Shown(screen, _chosen(screens, screen, limit), pairs=pairs) for screen in screens]
    if as_json:
        show_json([one.document() for one in shown])
    elif as_csv:
        limits = list(dict.fromkeys(name for one in shown for name in one.limits))
        columns = [*IDENTITY, DISTANCE, ABOVE, BINDING, *map(_titled, limits)]
        show_csv(columns, [[row.get(name) for name in columns] for one in shown for row in one.rows()])
    else:
        for one in shown:
            one.show()


@dataclass(frozen=True)
class Shown:
    """The energies of one supercell and engine, as they are shown.

    Parameters
    ----------
    screen
        The energies.
    limits
        Names of the limits that are shown.
    pairs
        Leave out all but pairs of defects, and order them by distance.
    """

    screen: ScreenEnergies
    limits: list[str]
    pairs: bool

    def rows(self) -> list[dict[str, Any]]:
        """One row for each configuration and charge."""
        formation = {(one.configuration_id, one.charge): one for one in self.screen.formation}
        binding = {one.configuration_id: one.binding_energy for one in self.screen.binding}
        ranked = self.screen.ranking
        if self.pairs:
            ranked = sorted(
                (one for one in ranked if one.n_defects == 2),
                key=lambda one: (one.label, one.charge, one.defect_distance or 0.0),
            )
        rows = []
        for one in ranked:
            told = formation.get((one.configuration_id, one.charge))
            host = self.screen.host
            identity = (host.name, host.n_sites, self.screen.physics_hash, one.label, one.configuration_id, one.charge)
            row: dict[str, Any] = dict(zip(IDENTITY, (*identity, one.multiplicity), strict=True))
            row |= {DISTANCE: one.defect_distance, ABOVE: one.relative_energy}
            row[BINDING] = None if one.charge else binding.get(one.configuration_id)
            row |= {_titled(name): told.formation_energies.get(name) if told else None for name in self.limits}
            rows.append(row)
        return rows

    def document(self) -> dict[str, Any]:
        """Everything, for programs."""
        screen = self.screen
        pristine = screen.pristine
        return {
            "host": screen.host.model_dump(mode="json"),
            "engine_name": screen.engine_name,
            "physics_hash": screen.physics_hash,
            "pristine_energy": None if pristine is None else pristine.energy,
            "limits": [one.model_dump(mode="json") for one in screen.limits if one.limit in self.limits],
            "remarks": screen.remarks,
            "left_out": dict(screen.left_out),
            "configurations": self.rows(),
            "formation": [one.model_dump(mode="json") for one in screen.formation],
            "binding": [one.model_dump(mode="json") for one in screen.binding],
            "ranking": [one.model_dump(mode="json") for one in screen.ranking],
        }

    def show(self) -> None:
        """Print a table with what it was made of."""
        screen = self.screen
        columns = [*IDENTITY[3:], DISTANCE, ABOVE, BINDING, *map(_titled, self.limits)]
        title = f"{screen.host.name}, {screen.host.n_sites} sites, {screen.engine_name} {screen.physics_hash}"
        show_table(columns, [[_rounded(row[name]) for name in columns] for row in self.rows()], title)
        for one in screen.limits:
            if one.limit in self.limits:
                typer.echo(f"Chemical potentials, {one.limit}, eV per atom: {_potentials(one)}")
                for compound, excess in one.exceeded.items():
                    typer.echo(f"  {compound} would form there: it is {excess:.4f} eV per formula unit below these.")
        for remark in screen.remarks:
            typer.echo(remark)
        if not screen.limits and screen.pristine is not None:
            typer.echo(
                "Formation energies need the energies of the elements: run `definet-flows elements`, or give a table "
                "with --elements."
            )
        for reason, number in screen.left_out.items():
            typer.echo(f"Left out: {number} {reason}")
        if screen.engine_name == "forcefield":
            typer.echo("These are the energies of a machine-learned potential, not of DFT.")


def _chosen(screens: list[ScreenEnergies], screen: ScreenEnergies, limit: str | None) -> list[str]:
    """Names of the limits of one screen that are asked for."""
    if limit is None:
        return [one.limit for one in screen.limits]
    known = list(dict.fromkeys(one.limit for each in screens for one in each.limits))
    if limit not in known:
        there = f"there are {', '.join(known)}" if known else "no chemical potentials are known"
        raise InputError(f"There is no limit {limit}; {there}.")
    return [one.limit for one in screen.limits if one.limit == limit]


def _potentials(limit: ChemicalPotentials) -> str:
    """Each element's, with the compound that keeps it there."""
    told = {element: f" ({compound})" for element, compound in limit.bounds.items()}
    return ", ".join(f"{element} {value:.4f}{told.get(element, '')}" for element, value in sorted(limit.values.items()))


def _titled(limit: str) -> str:
    return f"formation, {limit} (eV)"


def _cell(value: Any) -> Any:
    return "×".join(map(str, value)) if isinstance(value, tuple) else value


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value
