"""What a check is about, and what it finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from definet_flows.flows.campaign import Campaign
from definet_flows.launch.hpc.folder import ConfigFolder

if TYPE_CHECKING:
    from fireworks import LaunchPad

State = Literal["pass", "warn", "fail", "not set up"]
ANSWER_WITHIN_MS = 5000
"""A database that takes longer to answer counts as unreachable."""


class Finding(BaseModel):
    """The outcome of a check."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    group: str = Field(default="", description="Which group of checks")
    check: str = Field(description="What was checked")
    state: State = Field(description="pass; warn: works, but not as it should; fail: will not work; not set up")
    message: str = Field(description="What was found")
    remedy: str | None = Field(default=None, description="What to do about it")


@dataclass
class Subject:
    """What is examined.

    Parameters
    ----------
    folder
        The configuration folder; None where nothing is set up.
    campaign
        A campaign whose VASP settings are checked too.

    Attributes
    ----------
    launchpad
        Set once its database has answered.
    """

    folder: ConfigFolder | None = None
    campaign: Campaign | None = None
    launchpad: LaunchPad | None = None

    def close(self) -> None:
        """Let go of the database."""
        if self.launchpad is not None:
            self.launchpad.connection.close()


def passed(check: str, message: str) -> Finding:
    """All is well."""
    return Finding(check=check, state="pass", message=message)


def warned(check: str, message: str, remedy: str) -> Finding:
    """It works, but not as it should."""
    return Finding(check=check, state="warn", message=message, remedy=remedy)


def failed(check: str, message: str, remedy: str | None = None) -> Finding:
    """It will not work; an error sentence that says what to do needs no remedy of its own."""
    return Finding(check=check, state="fail", message=message, remedy=remedy)


def not_set_up(check: str, how: str) -> Finding:
    """Nobody has configured it, which is no fault by itself."""
    return Finding(check=check, state="not set up", message=f"not set up: {how}")
