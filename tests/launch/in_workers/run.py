"""Run a campaign as a program does: ``run.py CAMPAIGN DIR WORKERS``, a line for every step forward."""

# ruff: noqa: T201  what is printed is what tests look for
from __future__ import annotations

import sys

if __name__ == "__main__":
    from definet_flows.errors import DefinetFlowsError
    from definet_flows.flows import load_campaign
    from definet_flows.launch.local import run_campaign

    def report(progress):
        print(progress.stage, progress.done, progress.total, flush=True)

    try:
        summary = run_campaign(load_campaign(sys.argv[1]), sys.argv[2], int(sys.argv[3]), report)
    except DefinetFlowsError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    print("finished", summary.n_run, summary.n_skipped, flush=True)
