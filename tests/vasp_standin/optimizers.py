"""How VASP moves atoms: a generator is sent the forces of where the atoms are and yields where they go next.

Each evaluation is one ionic step, trial steps of a line search included, as in VASP.
"""

from __future__ import annotations

import numpy as np

STEP = 0.1  # Å²/eV per unit of POTIM: a stiff bond takes about half of its way at POTIM 0.5
LONGEST = 0.3  # Å


def moves(ibrion, positions, potim):
    """The generator of an IBRION: 1 quasi-Newton (DIIS), 2 conjugate gradients, 3 damped dynamics."""
    return {1: _diis, 2: _conjugate_gradients, 3: _damped}[ibrion](positions.copy(), STEP * potim)


def _limited(displacement):
    longest = np.linalg.norm(displacement, axis=1).max()
    return displacement * min(1.0, LONGEST / longest) if longest > 0 else displacement


def _conjugate_gradients(positions, step):
    forces = yield positions
    direction, last = forces, forces
    while True:
        trial = _limited(step * direction)
        there = yield positions + trial
        slope, slope_there = (forces * trial).sum(), (there * trial).sum()
        curvature = slope - slope_there
        scale = np.clip(slope / curvature, 0.1, 4.0) if curvature > 0 else 2.0
        positions = positions + scale * trial
        last, forces = forces, (yield positions)
        mixing = max(0.0, (forces * (forces - last)).sum() / max((last * last).sum(), 1e-12))
        direction = forces + mixing * direction
        if (direction * forces).sum() <= 0:
            direction = forces


def _diis(positions, step):
    seen = []
    while True:
        forces = yield positions
        seen = [*seen[-5:], (positions, forces)]
        overlaps = np.array([[(f * g).sum() for _, g in seen] for _, f in seen])
        n = len(seen)
        system = np.ones((n + 1, n + 1))
        system[:n, :n], system[n, n] = overlaps / overlaps.max(), 0
        weights = np.linalg.lstsq(system, np.append(np.zeros(n), 1.0), rcond=None)[0][:n]
        mixed = sum(w * p for w, (p, _) in zip(weights, seen, strict=True))
        residual = sum(w * f for w, (_, f) in zip(weights, seen, strict=True))
        positions = positions + _limited(mixed + step * residual - positions)


def _damped(positions, step):
    velocity = np.zeros_like(positions)
    while True:
        forces = yield positions
        velocity = np.where((velocity * forces).sum() < 0, 0.0, 0.6 * velocity) + step * forces
        positions = positions + _limited(velocity)
