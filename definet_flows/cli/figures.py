"""``figures``: what campaigns found and saved, as figures for a paper."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from definet_flows.cli.output import writable_folder
from definet_flows.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from definet_flows.analysis.results import CampaignResults
    from definet_flows.records.store import RecordStore

LONGEST_TITLE = 90

Places = Annotated[
    list[str],
    typer.Argument(metavar="DIR|URI...", help="Results stores; those of several supercells make one figure."),
]
CampaignName = Annotated[
    str | None, typer.Option("--campaign", metavar="NAME", help="Which campaign, where a store holds several.")
]
Folder = Annotated[
    Path, typer.Option("-o", "--output", metavar="FOLDER", help="Where the files go, each named after its figure.")
]
Elements = Annotated[
    Path | None, typer.Option("--elements", metavar="FILE", help="For --formation: energies of elements and compounds.")
]
Training = Annotated[
    float | None,
    typer.Option("--training-core-hours", min=0, metavar="X", help="For --core-hours: what labels and training cost."),
]


class Format(StrEnum):
    """Formats of the files."""

    PDF = "pdf"
    PNG = "png"
    SVG = "svg"


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("figures", epilog="Example: definet-flows figures demo-run --steps --savings -o paper --format pdf")(
        figures
    )


def figures(
    places: Places,
    steps: Annotated[bool, typer.Option("--steps", help="Steps of each configuration, sorted (Fig. 5a).")] = False,
    supercells: Annotated[bool, typer.Option("--supercells", help="Steps against the supercell (Fig. 5b).")] = False,
    core_hours: Annotated[bool, typer.Option("--core-hours", help="Core-hours as bars (Fig. 5c).")] = False,
    parity: Annotated[bool, typer.Option("--parity", help="Predicted against relaxed displacements.")] = False,
    shells: Annotated[bool, typer.Option("--shells", help="Errors by the distance from the defect.")] = False,
    formation: Annotated[bool, typer.Option("--formation", help="Formation energies against distance.")] = False,
    savings: Annotated[bool, typer.Option("--savings", help="Distribution of the savings, losers shown.")] = False,
    folder: Folder = Path("figures"),
    file_format: Annotated[Format, typer.Option("--format", help="Of the files.")] = Format.PNG,
    campaign: CampaignName = None,
    elements: Elements = None,
    training_core_hours: Training = None,
) -> None:
    """Draw what campaigns found and saved, losers shown; without a choice, every figure that there is something for."""
    asked = {
        "steps": steps,
        "supercells": supercells,
        "core-hours": core_hours,
        "savings": savings,
        "parity": parity,
        "shells": shells,
        "formation": formation,
    }
    chosen = [name for name, wanted in asked.items() if wanted]
    with ExitStack() as opened:
        drawing = Drawing(places, campaign, elements, training_core_hours, opened)
        for name in chosen or list(asked):
            path = writable_folder(folder) / f"{name}.{file_format.value}"
            try:
                drawing.draw(name, path)
            except InputError as nothing:
                if chosen:
                    raise
                typer.echo(f"{name}: not drawn. {nothing}")
            else:
                typer.echo(f"{name}: {path}")


class Drawing:
    """Figures of some campaigns; each table is made when the first figure asks for it.

    Parameters
    ----------
    places
        Results stores.
    campaign
        Name of the campaign in them; None where each holds one.
    elements
        Table of elemental energies, beside those that the stores hold.
    training_core_hours
        Of labels and training.
    opened
        Closes the stores.
    """

    def __init__(
        self,
        places: list[str],
        campaign: str | None,
        elements: Path | None,
        training_core_hours: float | None,
        opened: ExitStack,
    ) -> None:
        from definet_flows.analysis.results import campaign_results
        from definet_flows.records.store import open_store

        self.stores: list[RecordStore] = [opened.enter_context(open_store(one, read_only=True)) for one in places]
        self.results: list[CampaignResults] = [campaign_results(store, campaign) for store in self.stores]
        self.elements = elements
        self.training_core_hours = training_core_hours
        self._made: dict[str, pd.DataFrame] = {}

    @property
    def title(self) -> str:
        """The one campaign's own, or the names of several."""
        if len(self.results) == 1:
            return self.results[0].title
        names = ", ".join(one.campaign.name for one in self.results)
        return names if len(names) <= LONGEST_TITLE else f"{len(self.results)} campaigns"

    def draw(self, name: str, path: Path) -> None:
        """Draw one figure.

        Raises
        ------
        InputError
            If there is nothing to draw.
        """
        from definet_flows.analysis import figures as drawn

        if name == "core-hours":
            drawn.plot_core_hours(self._pairs(), path, self.title, self.training_core_hours)
            return
        plots: dict[str, tuple[Callable[..., Path], Callable[[], pd.DataFrame]]] = {
            "steps": (drawn.plot_ionic_steps, self._pairs),
            "supercells": (drawn.plot_supercells, self._pairs),
            "savings": (drawn.plot_savings, self._pairs),
            "parity": (drawn.plot_parity, self._atoms),
            "shells": (drawn.plot_shells, self._atoms),
            "formation": (drawn.plot_formation, self._formation),
        }
        plot, table = plots[name]
        plot(table(), path, self.title)

    def _table(self, name: str, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]

    def _pairs(self) -> pd.DataFrame:
        from definet_flows.analysis.figures import pairs_table

        return self._table("pairs", lambda: pairs_table(self.results))

    def _atoms(self) -> pd.DataFrame:
        from definet_flows.analysis.figures import atoms_table

        return self._table("atoms", lambda: atoms_table(zip(self.stores, self.results, strict=True)))

    def _formation(self) -> pd.DataFrame:
        from definet_flows.analysis.figures import formation_table
        from definet_flows.records.energetics import check_table, read_element_table, screen_energies

        given = None if self.elements is None else read_element_table(self.elements)
        screens = [screen for store in self.stores for screen in screen_energies(store, given)]
        if given is not None:
            check_table(given, screens)
        table = formation_table(screens)
        ours = {run.configuration_id for one in self.results for run in one.relaxations}
        return table[table["configuration_id"].isin(ours)]
