"""``records``: results that come from elsewhere than a campaign."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from definet_flows.cli.hosts import Dimensionality, Supercell, SupercellMatrix, Vacuum, host_from_options
from definet_flows.cli.output import AsJson, show_json, show_table, writable_folder
from definet_flows.errors import DefinetFlowsError, InputError

if TYPE_CHECKING:
    from definet_flows.defects import Host
    from definet_flows.records.adoption import Adopted, StartOrigin

TOLERANCE = 0.01
"""Å; written to six digits, pristine positions are a hundred times closer, and the start of a relaxation rarely is."""

COLUMNS = ("directory", "configuration", "start", "state", "steps", "core-hours", "record", "pair", "reason")

Runs = Annotated[list[Path], typer.Argument(metavar="DIR...", help="Run directories, or folders with such.")]
Store = Annotated[
    str,
    typer.Option("--dir", "--store", metavar="DIR|URI", help="Campaign directory, or MongoDB, that takes the records."),
]
OptionalHost = Annotated[
    str | None, typer.Option("--host", help="The pristine host: a preset, or a structure file with the unit cell.")
]
CampaignFile = Annotated[
    str | None, typer.Option("--campaign", metavar="CAMPAIGN", help="Take host and checkpoint from this file.")
]
CheckpointName = Annotated[
    str | None, typer.Option("--checkpoint", help="Checkpoint whose predictions the prerelaxed runs started from.")
]
Origin = Annotated[
    str | None, typer.Option("--origin", metavar="NAME", help="What else they started from, where that is known.")
]
Tolerance = Annotated[
    float, typer.Option(metavar="Å", min=0.0, help="A start this near to the pristine sites is the unrelaxed one.")
]

records_app = typer.Typer(no_args_is_help=True, help="Take in results from elsewhere than a campaign.")


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    example = "Example: definet-flows records from-vasp ~/runs/MoS2 --host MoS2 --supercell 8 8 1 --dir adopted"
    records_app.command("from-vasp", epilog=example)(from_vasp)
    app.add_typer(records_app, name="records", epilog=example)


def from_vasp(
    directories: Runs,
    store: Store,
    host_name: OptionalHost = None,
    campaign: CampaignFile = None,
    supercell: Supercell = None,
    supercell_matrix: SupercellMatrix = None,
    vacuum: Vacuum = None,
    dimensionality: Dimensionality = None,
    checkpoint: CheckpointName = None,
    origin: Origin = None,
    tolerance: Tolerance = TOLERANCE,
    as_json: AsJson = False,
) -> None:
    """Adopt VASP runs that exist already, pair those from both starts, and say what could not be read."""
    missing = [str(path) for path in directories if not path.is_dir()]
    if missing:
        raise InputError(f"There is no directory {', '.join(missing)}; check the path.")
    host, predicted_by = _campaign(campaign)
    if (host is None) == (host_name is None):
        raise InputError("Say once which host the runs are of: --host MoS2 --supercell 8 8 1, or --campaign FILE.")
    if host is None:
        host = host_from_options(str(host_name), supercell, supercell_matrix, vacuum, dimensionality)
    starts = _origin(checkpoint or (predicted_by if origin is None else None), origin)
    from definet_flows.records.address import is_database
    from definet_flows.records.adoption import adopt_directories
    from definet_flows.records.store import open_store

    with open_store(store if is_database(store) else writable_folder(Path(store))) as opened:
        adopted = adopt_directories(opened, directories, host, starts, tolerance, Path(opened.location).resolve().name)
    if as_json:
        show_json([_row(one) for one in adopted])
    else:
        _show(adopted)
    if all(one.outcome == "not read" for one in adopted):
        raise DefinetFlowsError("None of these runs could be read; the table says why.")


def _campaign(name: str | None) -> tuple[Host | None, str | None]:
    """Host and checkpoint of a campaign file."""
    if name is None:
        return None, None
    from definet_flows.cli.campaigns import campaign_file
    from definet_flows.flows import load_campaign

    plan = load_campaign(campaign_file(name))
    return plan.host.host(), plan.model.checkpoint if plan.model else None


def _origin(checkpoint: str | None, name: str | None) -> StartOrigin:
    from definet_flows.records.adoption import checkpoint_origin, named_origin

    if checkpoint is not None and name is not None:
        raise InputError("--checkpoint and --origin both say where the starts came from; give one of them.")
    if checkpoint is not None:
        return checkpoint_origin(checkpoint)
    return named_origin() if name is None else named_origin(name)


def _row(adopted: Adopted) -> dict[str, object]:
    record = adopted.record
    pair = ("yes" if adopted.paired else "no") if record is not None and record.kind == "defect" else None
    figures = (
        (
            f"{record.label} ({record.configuration_id[:8]})",
            record.start,
            record.state,
            record.ionic_steps,
            record.core_hours,
        )
        if record is not None
        else (None,) * 5
    )
    reasons = [adopted.reason, None if record is None else record.reason]
    reason = "; ".join(filter(None, reasons)) or None
    return dict(zip(COLUMNS, (str(adopted.directory), *figures, adopted.outcome, pair, reason), strict=True))


def _show(adopted: list[Adopted]) -> None:
    show_table(COLUMNS, [list(_row(one).values()) for one in adopted])
    outcomes = [one.outcome for one in adopted]
    read = sum(outcome in {"new", "unchanged", "changed"} for outcome in outcomes)
    pairs = len({one.record.configuration_id for one in adopted if one.paired and one.record is not None})
    counts = {"left out": outcomes.count("left out"), "could not be read": outcomes.count("not read")}
    rest = "".join(f", {number} {fate}" for fate, number in counts.items() if number)
    typer.echo(f"{len(adopted)} runs: {read} on record ({outcomes.count('new')} new), {pairs} pairs{rest}")
