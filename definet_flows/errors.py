"""The two kinds of failure a user can meet, each with the exit code the command line gives it, and what all rooms must know."""


class DefinetFlowsError(Exception):
    """Something that was asked for correctly did not succeed (exit code 1)."""

    exit_code = 1


class InputError(DefinetFlowsError):
    """Something the user supplied cannot be used (exit code 2); the message says what to change."""

    exit_code = 2


class BrokenDeviceError(DefinetFlowsError):
    """A GPU failed at something, and nothing more can be computed on it in this process."""
