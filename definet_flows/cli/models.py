"""``models``: the checkpoints at hand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from definet_flows.cli.output import AsJson, show_json, show_table
from definet_flows.errors import InputError

models = typer.Typer(no_args_is_help=True, help="List the checkpoints at hand, or show one's model card.")


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    models.command("list", epilog="Example: definet-flows models list")(list_models)
    models.command("show", epilog="Example: definet-flows models show definet-mos2-chgnet")(show_model)
    example = "Example: definet-flows models import model.pt -o models/theirs --element Mo --element S"
    models.command("import", epilog=example)(import_model)
    app.add_typer(models, name="models", epilog="Example: definet-flows models list")


def list_models(as_json: AsJson = False) -> None:
    """List your own and the shipped checkpoints."""
    from definet_flows.definet import list_checkpoints

    rows = [_listed(name, folder) for name, folder in list_checkpoints().items()]
    if as_json:
        show_json(rows)
    elif rows:
        show_table(list(rows[0]), [tuple(row.values()) for row in rows])
    else:
        typer.echo("No checkpoint is installed; train one, or name a folder of them in DEFINET_FLOWS_MODELS_DIR.")


def show_model(
    name: Annotated[str, typer.Argument(metavar="NAME|DIR", help="A checkpoint's name or folder.")],
    as_json: AsJson = False,
) -> None:
    """Check that a checkpoint is whole, and show its model card."""
    from definet_flows.definet import load_checkpoint
    from definet_flows.definet.card import render_card

    checkpoint = load_checkpoint(name)
    if as_json:
        card = checkpoint.card.model_dump(mode="json")
        show_json(
            {
                "content_hash": checkpoint.content_hash,
                "network": checkpoint.config.model_dump(mode="json"),
                "card": card,
            }
        )
        return
    n_parameters = sum(parameter.numel() for parameter in checkpoint.model.parameters())
    typer.echo(render_card(checkpoint.card, checkpoint.config, checkpoint.content_hash, n_parameters))


def import_model(
    file: Annotated[Path, typer.Argument(metavar="MODEL.pt", help="State dict saved by the authors' training code.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Checkpoint folder to write.")],
    radial_cutoff: Annotated[float, typer.Option(help="Å, where the radial envelope ends.")] = 30.0,
    graph_radius: Annotated[float, typer.Option(help="Å, largest edge length.")] = 6.0,
    max_neighbours: Annotated[int, typer.Option(help="Edges per site at most.")] = 50,
    elements: Annotated[
        list[str] | None,
        typer.Option("--element", help="Trained on this element; may be given again. Default: 2DMD's."),
    ] = None,
) -> None:
    """Convert weights trained with the authors' code into a checkpoint folder.

    The cutoffs cannot be read off the weights: give those the model was trained with.
    """
    from definet_flows.definet.importing import DATABASE_ELEMENTS, import_state_dict

    identity = import_state_dict(
        file,
        output,
        radial_cutoff=radial_cutoff,
        graph_radius=graph_radius,
        max_neighbours=max_neighbours,
        elements=tuple(elements or DATABASE_ELEMENTS),
    )
    typer.echo(f"Checkpoint: {output} ({identity})")


def _listed(name: str, folder: Path) -> dict[str, Any]:
    from definet_flows.definet import load_checkpoint

    try:
        checkpoint = load_checkpoint(folder)
    except InputError as error:
        # One damaged folder must not hide the others.
        return {
            "name": name,
            "hosts": "",
            "elements": "",
            "teacher": f"unusable: {error}",
            "hash": "",
            "folder": str(folder),
        }
    card = checkpoint.card
    return {
        "name": name,
        "hosts": ", ".join(card.hosts),
        "elements": ", ".join(card.elements),
        "teacher": card.teacher,
        "hash": checkpoint.content_hash,
        "folder": str(folder),
    }
