"""The report page: one HTML file that needs no network, whatever its records say.

Records reach the page in two ways only: as escaped text, and as compressed text that no HTML parser can read anything into
and that scripts put into the page as text. The page's own policy lets the browser run the scripts written here and no other,
and load nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import definet_flows
from definet_flows.analysis.report import sections
from definet_flows.analysis.report.configurations import Configuration, columns, configurations, pages, short
from definet_flows.analysis.report.coordinates import QUANTUM, packed, packed_coordinates
from definet_flows.analysis.report.energies import Energetics, energetics
from definet_flows.analysis.results import CampaignResults
from definet_flows.defects import VACANCY
from definet_flows.errors import InputError
from definet_flows.records.energetics import ElementTable
from definet_flows.records.store import RecordStore

SCRIPTS = ("elements", "table", "figures", "solids", "viewer", "configuration", "page")
CHUNK = 100
"""Configurations that are unpacked together when the page of one is opened."""


@dataclass(frozen=True)
class Live:
    """How a page behaves whose campaign goes on.

    Parameters
    ----------
    seconds
        Between its reloads of itself.
    """

    seconds: float


def report_page(
    store: RecordStore, results: CampaignResults, live: Live | None = None, elements: ElementTable | None = None
) -> str:
    """The report of a campaign as the text of an HTML file.

    Parameters
    ----------
    store
        Where the coordinates are.
    results
        The campaign, as `definet_flows.analysis.results.campaign_results` settles it.
    live
        Given while the page is written again and again.
    elements
        A table of elemental energies, beside those that the store holds.

    Raises
    ------
    ModuleNotFoundError
        If plotly is not installed.
    InputError
        If the table does not go with the campaign.
    """
    listed = configurations(results)
    energies = energetics(store, results, elements)
    planned = set(results.campaign.configuration_ids)
    recorded = len({one.summary.configuration_id for one in listed} & planned)
    plotly = plotly_source()
    script = _script()
    return Template(_asset("page.html")).substitute(
        policy=_policy(script, plotly),
        title=escape(f"{results.campaign.name} – definet-flows"),
        name=escape(results.campaign.name),
        subtitle=escape(results.title.partition(": ")[2]),
        written=datetime.now(UTC).isoformat(timespec="seconds"),
        version=escape(definet_flows.__version__),
        reload=f"{live.seconds:g}" if live else "",
        style=_asset("style.css"),
        headlines=sections.headlines(results, recorded),
        savings=sections.savings(results.rows) + sections.charged(results.charged_rows),
        account=sections.account(results),
        energies=energies.section(),
        energies_link="<a href='#/energies'>Energies</a>" if energies.screens else "",
        provenance=sections.provenance(results),
        payload="\n".join(_payload(store, results, listed, energies)),
        plotly=_block("plotly", _packed_plotly()),
        script=script,
    )


def write_page(text: str, path: Path) -> Path:
    """Put a page in the place of an older one, in one move, so that no reader ever sees half of it.

    Parameters
    ----------
    text
        The page.
    path
        Where to.

    Raises
    ------
    InputError
        If it cannot be written there.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}); name another file.") from error
    return path


@cache
def plotly_source() -> str:
    """The script of plotly, from its package (MIT licence).

    Raises
    ------
    ModuleNotFoundError
        If it is not installed.
    """
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def _payload(
    store: RecordStore, results: CampaignResults, listed: Sequence[Configuration], energies: Energetics
) -> list[str]:
    evidence = frozenset(pair.key for pair in results.evidence)
    overview = {
        "columns": columns(listed, evidence, energies.columns()),
        "limits": energies.limits,
        "thresholds": {threshold.value: force for threshold, force in results.thresholds.items()},
        "spent": [asdict(cost) for cost in results.account.engines],
        "charged": [results.rows[-1].core_hours_unrelaxed, results.rows[-1].core_hours_prerelaxed]
        if results.rows
        else None,
        "hosts": _hosts(store, listed),
        "elements": _elements(store, listed),
        "chunk": CHUNK,
        "quantum": QUANTUM,
    }
    blocks = [_block("overview", _packed_json(overview))]
    for number, first in enumerate(range(0, len(listed), CHUNK)):
        found = list(pages(store, listed[first : first + CHUNK]))
        blocks.append(_block(f"pages-{number}", _packed_json([content for content, _ in found])))
        blocks.append(_block(f"coordinates-{number}", packed_coordinates(structures for _, structures in found)))
    return blocks


def _hosts(store: RecordStore, listed: Sequence[Configuration]) -> dict[str, Any]:
    """Pristine supercells: species, lattice and the places from which displacements count."""
    hosts = {}
    for fingerprint in sorted({one.summary.host.fingerprint for one in listed}):
        host = store.host(fingerprint)
        hosts[fingerprint] = {
            "species": list(host.species),
            "lattice": [[short(x, 7) for x in row] for row in host.lattice.tolist()],
            "positions": [[round(x, 4) for x in row] for row in host.positions.tolist()],
            "layer": host.dimensionality == 2,
        }
    return hosts


def _elements(store: RecordStore, listed: Sequence[Configuration]) -> dict[str, Any]:
    """Colour and covalent radius in Å of every element there is."""
    from ase.data import atomic_numbers, covalent_radii
    from ase.data.colors import jmol_colors

    fingerprints = {one.summary.host.fingerprint for one in listed}
    present = {species for fingerprint in fingerprints for species in store.host(fingerprint).species}
    present |= {species for one in listed for _, species in one.summary.defects} - {VACANCY}
    numbers = {symbol: atomic_numbers[symbol] for symbol in sorted(present)}
    return {
        symbol: {"colour": [short(float(x), 3) for x in jmol_colors[number]], "radius": float(covalent_radii[number])}
        for symbol, number in numbers.items()
    }


def _packed_json(content: Any) -> str:
    return packed(json.dumps(content, separators=(",", ":"), allow_nan=False, default=str).encode())


def _block(name: str, text: str) -> str:
    """A block that browsers neither run nor show."""
    return f'<script type="application/gzip" id="packed-{name}">{text}</script>'


def _script() -> str:
    parts = "\n".join(_asset(f"{name}.js") for name in SCRIPTS)
    return f'"use strict";\n(() => {{\n{parts}\n}})();'


def _policy(*scripts: str) -> str:
    """What the browser may do with the page: run these scripts; load and send nothing."""
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{one}'" for one in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def _packed_plotly() -> str:
    return packed(plotly_source().encode())


def _asset(name: str) -> str:
    return files("definet_flows.analysis.report").joinpath("assets", name).read_text(encoding="utf-8")
