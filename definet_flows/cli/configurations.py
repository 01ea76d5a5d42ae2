"""``hosts``, ``enumerate`` and ``sample``: which configurations there are."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from definet_flows.cli.hosts import Dimensionality, HostName, Supercell, SupercellMatrix, Vacuum, host_from_options
from definet_flows.cli.output import AsJson, show_json, show_table, writable_file
from definet_flows.errors import InputError

if TYPE_CHECKING:
    from definet_flows.defects import DefectConfiguration, Host

OutputFile = Annotated[
    Path | None,
    typer.Option(
        "-o", "--output", metavar="FILE.jsonl", help="Write one configuration per line, and the host beside them."
    ),
]


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("hosts", epilog="Example: definet-flows hosts")(list_hosts)
    app.command(
        "enumerate",
        epilog='Example: definet-flows enumerate --host MoS2 --supercell 8 8 1 --vacuum 15 --recipe "V_Mo+V_S" --count-only',
    )(enumerate_placements)
    app.command(
        "sample",
        epilog="Example: definet-flows sample --host hBN --preset high-density --per-concentration 20 --seed 1 -o sample.jsonl",
    )(sample)


def list_hosts(as_json: AsJson = False) -> None:
    """List the preset hosts."""
    from definet_flows.defects import HOST_PRESETS, Host

    rows = []
    for name, preset in HOST_PRESETS.items():
        cell = Host(name, preset.unit_cell(), ((1, 0, 0), (0, 1, 0), (0, 0, 1)), 2)
        supercell = "×".join(map(str, preset.supercell))
        dopants = ", ".join(f"{symbol}: {'/'.join(new)}" for symbol, new in preset.dopants.items())
        rows.append((name, *preset.lengths, preset.gamma, len(cell.unit_cell), supercell, cell.vacuum, dopants))
    columns = ("host", "a (Å)", "b (Å)", "c (Å)", "γ (°)", "sites", "supercell", "vacuum (Å)", "dopants")
    if as_json:
        show_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        show_table(columns, rows)


def enumerate_placements(
    host_name: HostName,
    recipes: Annotated[
        list[str] | None, typer.Option("--recipe", help="Defects to place, such as V_Mo+V_S; may be given again.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option("--preset", help="low-density: the defect types of the database.")
    ] = None,
    supercell: Supercell = None,
    supercell_matrix: SupercellMatrix = None,
    vacuum: Vacuum = None,
    dimensionality: Dimensionality = None,
    min_distance: Annotated[float | None, typer.Option(metavar="Å", help="Defects no closer than this.")] = None,
    max_distance: Annotated[float | None, typer.Option(metavar="Å", help="Defects no farther apart than this.")] = None,
    count_only: Annotated[bool, typer.Option("--count-only", help="Count exactly without listing (Burnside).")] = False,
    as_json: AsJson = False,
    output: OutputFile = None,
) -> None:
    """List every symmetry-distinct placement of the given defects in a host supercell."""
    host = host_from_options(host_name, supercell, supercell_matrix, vacuum, dimensionality)
    wanted = _recipes(host, recipes, preset)
    if count_only:
        if min_distance is not None or max_distance is not None or output is not None:
            raise InputError(
                "--count-only lists nothing and knows no distances; drop it, or drop --min-distance, --max-distance and -o."
            )
        counts = _counts(host, wanted)
    else:
        counts = _listed(host, wanted, min_distance, max_distance, output)
    _show_counts(counts, as_json)


def sample(
    host_name: HostName,
    preset: Annotated[
        str | None, typer.Option("--preset", help="high-density: the database's species, concentrations and cap.")
    ] = None,
    substitutions: Annotated[
        list[str] | None,
        typer.Option("--substitute", metavar="Mo=W,Vac", help="What a host species may become; may be given again."),
    ] = None,
    concentrations: Annotated[
        list[float] | None, typer.Option("--concentration", help="Defects per site; may be given again.")
    ] = None,
    per_concentration: Annotated[
        int | None, typer.Option("--per-concentration", min=1, help="Configurations at each concentration.")
    ] = None,
    max_fraction: Annotated[
        float | None, typer.Option("--max-fraction", help="Largest share of the sites for one defect type.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the random generator.")] = 0,
    supercell: Supercell = None,
    supercell_matrix: SupercellMatrix = None,
    vacuum: Vacuum = None,
    dimensionality: Dimensionality = None,
    as_json: AsJson = False,
    output: OutputFile = None,
) -> None:
    """Draw distinct random configurations at given defect concentrations."""
    from definet_flows.defects import sample_configurations

    host = host_from_options(host_name, supercell, supercell_matrix, vacuum, dimensionality)
    section = _section(host, preset, substitutions, concentrations, per_concentration, max_fraction)
    drawn = sample_configurations(host, seed=seed, **section)
    if output is not None:
        _write(host, drawn, output)
    _show_counts(Counter(f"{configuration.concentration:.4f}" for configuration in drawn), as_json, "concentration")


def _recipes(host: Host, recipes: list[str] | None, preset: str | None) -> list[str]:
    from definet_flows.defects import low_density_recipes

    if preset not in {None, "low-density"}:
        raise InputError(
            f"'{preset}' is no list of recipes; the only one is low-density (high-density is drawn by `sample`)."
        )
    wanted = [*(low_density_recipes(host.name) if preset else []), *(recipes or [])]
    if not wanted:
        raise InputError('Say which defects to place: --recipe "V_Mo+V_S", or --preset low-density.')
    return list(dict.fromkeys(wanted))


def _counts(host: Host, recipes: list[str]) -> dict[str, int]:
    from definet_flows.defects import count_configurations

    return {recipe: count_configurations(host, recipe) for recipe in recipes}


def _listed(
    host: Host, recipes: list[str], min_distance: float | None, max_distance: float | None, output: Path | None
) -> dict[str, int]:
    from definet_flows.defects import enumerate_configurations

    counts = dict.fromkeys(recipes, 0)

    def stream() -> Iterable[DefectConfiguration]:
        for recipe in recipes:
            for configuration in enumerate_configurations(host, recipe, min_distance, max_distance):
                counts[recipe] += 1
                yield configuration

    if output is None:
        for _ in stream():
            pass
    else:
        _write(host, stream(), output)
    return counts


def _write(host: Host, configurations: Iterable[DefectConfiguration], output: Path) -> None:
    from definet_flows.defects import write_configurations

    path = writable_file(output)
    host_path = path.with_suffix(".host.json")
    host_path.write_text(json.dumps(host.to_dict(), indent=1) + "\n", encoding="utf-8")
    write_configurations(configurations, path)
    typer.echo(f"Configurations: {path}; their host: {host_path}", err=True)


def _show_counts(counts: dict[str, int] | Counter[str], as_json: bool, key: str = "recipe") -> None:
    total = sum(counts.values())
    if as_json:
        show_json({"total": total, f"{key}s": dict(counts)})
    else:
        show_table((key, "configurations"), [*counts.items(), ("total", total)])


def _section(
    host: Host,
    preset: str | None,
    substitutions: list[str] | None,
    concentrations: list[float] | None,
    per_concentration: int | None,
    max_fraction: float | None,
) -> dict[str, Any]:
    """Arguments of the sampler: the preset's, each replaced by the option that names it."""
    from definet_flows.defects import high_density

    if preset not in {None, "high-density"}:
        raise InputError(f"'{preset}' is no section to draw from; the only one is high-density.")
    if preset is None and not (substitutions and concentrations):
        raise InputError("Say what to draw: --preset high-density, or --substitute Mo=W,Vac with --concentration 0.05.")
    section = high_density(host.name) if preset else None
    return {
        "substitutions": dict(map(_substitution, substitutions))
        if substitutions
        else section and section.substitutions,
        "concentrations": concentrations or (section and section.concentrations),
        "n_per_concentration": per_concentration or (section.per_concentration if section else 100),
        "max_fraction_per_type": max_fraction or (section.type_cap if section else 1.0),
    }


def _substitution(text: str) -> tuple[str, list[str]]:
    symbol, equals, species = text.partition("=")
    if not equals or not species:
        raise InputError(f"'{text}' is no substitution; write --substitute Mo=W,Vac (Vac for a vacancy).")
    return symbol.strip(), [new.strip() for new in species.split(",")]
