"""A campaign of 20 configurations from both starts on the stand-in, of which a third of the runs go wrong.

Run as ``python -m tests.vasp_standin.campaign DIR``; it prints what became of every kind of misbehaviour. It shows that the
machinery loses nothing. No number of it says anything about a material, or about what DFT would save.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import sys
from collections import defaultdict
from pathlib import Path

COMMAND = f"{sys.executable} {Path(__file__).resolve().parent}"
RECIPES = ["V_Cu", "Al_Cu", "V_Cu+V_Cu", "V_Cu+Al_Cu", "Al_Cu+Al_Cu", "V_Cu+Al_Cu+Al_Cu", "V_Cu+Ni_Cu"]
ENGINE = (
    f"{{name: vasp, vasp_cmd: '{COMMAND}', kpoints: [2, 2, 2], max_steps: 40, max_errors: 2, "
    "poll_seconds: 0.1, monitor_seconds: 0.3, frozen_seconds: 6}"
)

# By the first digit of the configuration's id, which is as good as drawn by lot, and the start.
RULES = {
    "[01].{7}-unrelaxed": {"do": "print", "text": "ZBRENT: fatal error in bracketing", "after": 1, "times": 1},
    "e.{7}-prerelaxed": {"do": "print", "text": "Error EDDDAV: Call to ZHEGV failed.", "after": 1},
    "[45].{7}-unrelaxed": {"do": "signal", "after": 2},
    "[67].{7}-prerelaxed": {"do": "truncate"},
    "[89].{7}-unrelaxed": {"do": "diverge"},
    "c.{7}-prerelaxed": {"do": "hang", "after": 1, "times": 1},
    "b.{7}-unrelaxed": {"do": "disk full"},
}
IN_WORDS = {
    "[01].{7}-unrelaxed": "prints a known error once",
    "e.{7}-prerelaxed": "prints a known error each time",
    "[45].{7}-unrelaxed": "is killed",
    "[67].{7}-prerelaxed": "cuts its files short",
    "[89].{7}-unrelaxed": "never converges",
    "c.{7}-prerelaxed": "hangs once",
    "b.{7}-unrelaxed": "fills the disk",
    "": "runs well",
}
_TOLD = re.compile(r"Max errors|Validation failed: \w+|No space left on device|the largest force was")
_RULE = "|---|--:|---|--:|--:|---|"


def write(folder, write_campaign):
    """The campaign file, the rules and the POTCARs; the variables that a run of it needs in its environment."""
    from tests.vasp_standin.potcars import write_potcars

    potcars = write_potcars(folder / "potcars", ["Cu_pv", "Al", "Ni_pv"])
    rules = folder / "rules.json"
    rules.write_text(json.dumps([{"where": f"_Cu-{where}", **rule} for where, rule in RULES.items()]))
    configurations = f"{{recipes: {json.dumps(RECIPES)}, select: {{count: 20, seed: 1, stratify: label}}}}"
    path = write_campaign(folder / "campaign", engine=ENGINE, configurations=configurations)
    return path, {"PMG_VASP_PSP_DIR": str(potcars), "VASP_STANDIN": str(rules)}


def rule_of(record):
    """The rule that a run fell under, as `RULES` writes it; empty for one that nothing happened to."""
    if record.kind != "defect":
        return ""
    run = f"{record.configuration_id[:8]}-{record.start}"
    return next((where for where in RULES if re.match(where, run)), "")


def table(records):
    """Rows of what became of the runs, by what they did wrong."""
    groups = defaultdict(list)
    for record in records:
        groups[rule_of(record)].append(record)
    lines = ["| VASP … | runs | on record as | starts of VASP | ionic steps | reason; corrections |", _RULE]
    for where, words in IN_WORDS.items():
        group = groups[where]
        states = "; ".join(sorted({record.state for record in group}))
        starts = statistics.mean(len(record.details.attempts) for record in group)
        steps = statistics.mean(record.ionic_steps for record in group)
        lines.append(f"| {words} | {len(group)} | {states} | {starts:.1f} | {steps:.1f} | {_why(group)} |")
    return "\n".join(lines)


def _why(group):
    reasons = {" … ".join(_TOLD.findall(record.reason)) for record in group if record.reason}
    corrections = {f"{one.handler} ({', '.join(one.errors)})" for r in group for one in r.details.corrections or ()}
    return "; ".join([*sorted(reasons), *sorted(corrections)])


def main(folder):
    from definet_flows.flows import load_campaign
    from definet_flows.launch.local import run_campaign
    from definet_flows.records import open_store
    from tests import copper

    folder.mkdir(parents=True, exist_ok=True)
    path, variables = write(folder, copper.write_campaign)
    os.environ.update(variables)
    for again in (False, True):
        if again:
            del os.environ["VASP_STANDIN"]
        run_campaign(load_campaign(path), folder / "run", workers=2, retry_failed=again)
        with open_store(folder / "run", read_only=True) as store:
            print(table(list(store.relaxations())), end="\n\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
