"""Lists of configurations as JSON lines, one configuration a line, readable without this package."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from definet_flows.defects.configuration import DefectConfiguration
from definet_flows.defects.host import Host
from definet_flows.errors import InputError


def write_configurations(configurations: Iterable[DefectConfiguration], path: str | Path) -> Path:
    """Write configurations as JSON lines, one at a time, read back by `read_configurations`.

    A line holds ``id``, ``label``, ``multiplicity``, ``cluster_id``, ``placement_id``, ``supercell``, ``host`` (its
    fingerprint) and ``defects`` ([[site, species], ...]).
    """
    with Path(path).open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(_line(configuration)) + "\n" for configuration in configurations)
    return Path(path)


def _line(configuration: DefectConfiguration) -> dict[str, Any]:
    return {
        "id": configuration.id,
        "label": configuration.label,
        "multiplicity": configuration.multiplicity,
        "cluster_id": configuration.cluster_id,
        "placement_id": configuration.placement_id,
        "supercell": [list(row) for row in configuration.host.supercell_matrix],
        **configuration.to_dict(),
    }


def read_configurations(path: str | Path, host: Host) -> list[DefectConfiguration]:
    """Read configurations written by `write_configurations` onto a host's crystal, each in its own supercell.

    Raises
    ------
    InputError
        If the file is missing, a line is malformed, or it was written for another crystal.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError(f"There is no configuration file {file}; check the path.")
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is not text; give JSON lines as `definet-flows enumerate -o` writes them.") from error
    found = []
    supercells: dict[str, Host] = {}
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
            key = json.dumps(entry["supercell"])
            defects = {int(site): str(species) for site, species in entry["defects"]}
        except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"{file}, line {number} is not a configuration ({error!r}).") from error
        try:
            if key not in supercells:
                supercells[key] = host.with_supercell(entry["supercell"])
            configuration = DefectConfiguration.create(supercells[key], defects)
        except InputError as error:
            raise InputError(f"{file}, line {number} does not fit {host.name}: {error}") from error
        if entry.get("placement_id", configuration.placement_id) != configuration.placement_id:
            raise InputError(
                f"{file}, line {number} belongs to another crystal than {host.name}; name the host it was made for."
            )
        found.append(configuration)
    return found
