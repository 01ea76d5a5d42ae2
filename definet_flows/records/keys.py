"""The content keys under which results are stored: what decides a result is in its key, and nothing else."""

from __future__ import annotations

from definet_flows.defects.host import content_hash

KEY_LENGTH = 32
NO_GUARD = "none"


def relaxation_key(
    configuration_id: str,
    charge: int,
    start: str,
    physics_hash: str,
    checkpoint_hash: str | None = None,
    guard_hash: str | None = None,
) -> str:
    """Key of one relaxation.

    Parameters
    ----------
    configuration_id
        Content id of the configuration.
    charge
        Total charge in elementary charges.
    start
        ``unrelaxed`` or ``prerelaxed``.
    physics_hash
        Hash of the engine's physics settings.
    checkpoint_hash, guard_hash
        What made the prerelaxed start; None for the unrelaxed one, so that a new model repeats no baseline.

    Returns
    -------
    str
        32 hexadecimal digits.

    Raises
    ------
    ValueError
        If an unrelaxed start names a checkpoint or a guard, or a prerelaxed one lacks them.
    """
    if (start == "prerelaxed") != (checkpoint_hash is not None and guard_hash is not None):
        raise ValueError("A prerelaxed start, and no other, has a checkpoint hash and a guard hash.")
    parts = ["relaxation", configuration_id, charge, start, physics_hash, checkpoint_hash, guard_hash]
    return content_hash(parts, KEY_LENGTH)


def prediction_key(configuration_id: str, checkpoint_hash: str, guard_hash: str, reference_hash: str) -> str:
    """Key of one prediction.

    Parameters
    ----------
    configuration_id
        Content id of the configuration.
    checkpoint_hash, guard_hash
        The network and the guard that judged it.
    reference_hash
        Physics hash of the engine that relaxed the pristine cell the network started from; empty where none did.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    return content_hash(["prediction", configuration_id, checkpoint_hash, guard_hash, reference_hash], KEY_LENGTH)


def savings_key(configuration_id: str, charge: int, physics_hash: str, checkpoint_hash: str, guard_hash: str) -> str:
    """Key of a configuration's pair of runs: the prerelaxed run's identity, whether it was run or fell back.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    return content_hash(["savings", configuration_id, charge, physics_hash, checkpoint_hash, guard_hash], KEY_LENGTH)
