"""Runs as ``python tests/vasp_standin`` from any directory."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from vasp_standin.program import main

if __name__ == "__main__":
    sys.exit(main())
