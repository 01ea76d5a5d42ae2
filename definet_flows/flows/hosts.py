"""Several hosts in one campaign file: one campaign for each, with what they share written once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

from pydantic import Field, model_validator

from definet_flows.defects.presets import HOST_PRESETS
from definet_flows.errors import InputError
from definet_flows.flows.campaign import Campaign, CampaignSettings, HostSettings
from definet_flows.jobs import ConfigurationSource, ModelSettings

_OF_ITS_OWN = ("configurations", "model")


class HostEntry(HostSettings):
    """A host, and what is otherwise for it than for the others."""

    name: str | None = Field(
        default=None,
        pattern=r"^[^/\s]+$",
        description="What to call this host's part of the campaign; by default after host and supercell, as MoS2-8x8x1",
    )
    configurations: ConfigurationSource | None = Field(
        default=None, description="Which defect configurations of this host; the file's own by default"
    )
    model: ModelSettings | None = Field(
        default=None, description="The network for this host, or null for none; the file's own by default"
    )

    @property
    def title(self) -> str:
        """The name that is given, or that of host and supercell: the same whatever other hosts there are."""
        if self.name is not None:
            return self.name
        host = self.preset or self.mp_id or str(self.file).rpartition("/")[2].split(".")[0]
        matrix = self.supercell or (HOST_PRESETS[host].supercell if host in HOST_PRESETS else ())
        rows = ["_".join(map(str, row)) if isinstance(row, tuple) else str(row) for row in matrix]
        return "-".join(filter(None, [host, "x".join(rows)]))


class Screening(CampaignSettings):
    """What a campaign file with several hosts says."""

    hosts: tuple[HostEntry, ...] = Field(min_length=1, description="The pristine supercells")
    configurations: ConfigurationSource | None = Field(
        default=None, description="Which defect configurations, of the hosts that do not say themselves"
    )

    @model_validator(mode="after")
    def _tells_hosts_apart(self) -> Self:
        titles = Counter(entry.title for entry in self.hosts)
        repeated = [title for title, count in titles.items() if count > 1]
        if repeated:
            raise ValueError(
                f"{titles[repeated[0]]} of the hosts are called {repeated[0]}; give each a name of its own"
            )
        lacking = [entry.title for entry in self.hosts if entry.configurations is None and self.configurations is None]
        if lacking:
            raise ValueError(f"configurations are missing, for all hosts or for {', '.join(lacking)}; add them")
        return self

    def members(self) -> list[Campaign]:
        """A campaign for each host, in the file's order; all else is the same for all of them."""
        shared = {name: getattr(self, name) for name in CampaignSettings.model_fields}
        shared["configurations"] = self.configurations
        return [Campaign(**shared | self._own(entry)) for entry in self.hosts]

    def _own(self, entry: HostEntry) -> dict[str, Any]:
        own = {name: getattr(entry, name) for name in _OF_ITS_OWN if name in entry.model_fields_set}
        host = HostSettings(**entry.model_dump(include=set(HostSettings.model_fields)))
        return {**own, "host": host, "name": f"{self.name}/{entry.title}", "screening": self.name}


@contextmanager
def naming(campaign: Campaign) -> Iterator[None]:
    """Say of several hosts which one cannot be used as the file asks.

    Parameters
    ----------
    campaign
        What is tried.

    Raises
    ------
    InputError
        That of what is tried, with the name before it where the file has several hosts.
    """
    try:
        yield
    except InputError as error:
        if campaign.screening is None:
            raise
        raise InputError(f"{campaign.name}: {error}") from error
