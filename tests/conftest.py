"""Settings every test shares: one thread per process, so that two test workers fit two cores."""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # read when torch is first imported, hence before anything else here
os.environ["MPLBACKEND"] = "Agg"
