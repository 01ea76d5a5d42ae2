"""The residual-step experiment: which configurations are held out, fixed before anything is relaxed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from definet_flows.defects import DefectConfiguration
from definet_flows.defects.host import content_hash
from definet_flows.errors import InputError
from definet_flows.jobs.selection import draw_rank

SCHEMA_VERSION = 1


class HeldOutSettings(BaseModel):
    """Which configurations of a campaign are kept from training, and relaxed from both starts afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    files: tuple[str, ...] = Field(
        default=(), description="JSON lines of configurations of the campaign, relative to the campaign file"
    )
    fraction: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Share of the configurations to draw instead, evenly over labels; no cluster of theirs is trained on at any "
        "size, and single defects, which have one cluster each, are never drawn",
    )
    seed: int = Field(default=0, description="Seed of that draw")

    @model_validator(mode="after")
    def _says_one_way(self) -> Self:
        if bool(self.files) is (self.fraction is not None):
            raise ValueError("give either files or a fraction")
        return self


class ValidationSettings(BaseModel):
    """What ``validate`` needs to know besides the campaign; it changes no record."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    held_out: HeldOutSettings | None = Field(
        default=None, description="What is kept from training; all configurations where nothing is trained"
    )
    training: str | None = Field(
        default=None,
        description="Training file, relative to the campaign file; its labels are the relaxations of the configurations that are "
        "not held out. Left out, the campaign's own model is validated",
    )
    paid_core_hours: float = Field(
        default=0.0,
        ge=0,
        description="Core-hours of the labels and trainings of the campaign's own model, where they are known",
    )

    @model_validator(mode="after")
    def _trains_on_something(self) -> Self:
        if self.training is not None and self.held_out is None:
            raise ValueError("held_out is missing: say what the training must not see")
        if self.training is not None and self.paid_core_hours:
            raise ValueError("paid_core_hours is for a model that exists; what a training takes is measured")
        return self


@dataclass(frozen=True)
class ValidationSplit:
    """What is trained on and what is held out.

    Parameters
    ----------
    training, held_out
        Configurations by name of the campaign, one for each host.
    """

    training: Mapping[str, Sequence[DefectConfiguration]]
    held_out: Mapping[str, Sequence[DefectConfiguration]]

    @property
    def hash(self) -> str:
        """Of the ids on either side."""
        return content_hash(self._ids)

    def ids(self, share: Mapping[str, Sequence[DefectConfiguration]]) -> set[str]:
        """Ids of all configurations of a share."""
        return {one.id for members in share.values() for one in members}

    def fix(self, file: Path) -> None:
        """Write the split down; where one was before, `check` it instead."""
        if file.exists():
            self.check(file)
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        content = {"schema_version": SCHEMA_VERSION, "hash": self.hash, **self._ids}
        partial = file.with_suffix(".partial")
        partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        partial.replace(file)

    def check(self, file: Path) -> None:
        """Make sure that this is the split that was written down.

        Raises
        ------
        InputError
            If another one was, or the file is missing, damaged or was edited.
        """
        fixed = _fixed_hash(file)
        if fixed != self.hash:
            raise InputError(
                f"{file} has fixed the split {fixed}, and the campaign file now gives {self.hash}: what was labelled and trained "
                "stands on the first. Change the campaign file back, or name a new directory."
            )

    @property
    def _ids(self) -> dict[str, dict[str, list[str]]]:
        shares = {"training": self.training, "held_out": self.held_out}
        return {
            share: {name: sorted(one.id for one in members) for name, members in listed.items()}
            for share, listed in shares.items()
        }


def _fixed_hash(file: Path) -> str:
    try:
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        fixed = str(content["hash"])
        is_whole = content_hash({share: content[share] for share in ("training", "held_out")}) == fixed
    except FileNotFoundError:
        raise InputError(f"There is no {file}: nothing has been validated there yet; run it without --look.") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file} is not a split ({type(error).__name__}); name a new directory.") from error
    if not is_whole:
        raise InputError(f"{file} was changed after it was written (its hash does not fit); name a new directory.")
    return fixed


def split_configurations(
    listed: Mapping[str, Sequence[DefectConfiguration]], settings: HeldOutSettings | None
) -> ValidationSplit:
    """Divide the configurations of a campaign file's hosts.

    Parameters
    ----------
    listed
        All configurations by name of the campaign.
    settings
        What to hold out; None for everything.

    Raises
    ------
    InputError
        If a list cannot be read, names what the campaign has not, or nothing is held out.
    """
    everything = [one for members in listed.values() for one in members]
    held_out = {one.id for one in everything} if settings is None else _held_out(everything, settings)
    shares = {
        wanted: {name: [one for one in members if (one.id in held_out) is wanted] for name, members in listed.items()}
        for wanted in (False, True)
    }
    return ValidationSplit(*(_without_empty(shares[wanted]) for wanted in (False, True)))


def _held_out(everything: Sequence[DefectConfiguration], settings: HeldOutSettings) -> set[str]:
    if settings.fraction is not None:
        drawn = _drawn(everything, settings.fraction, settings.seed)
        if not drawn:
            raise InputError("validation.held_out.fraction draws nothing: list more pairs or triples, or raise it.")
        return drawn
    from definet_flows.training.datasets.sources import configurations_of_any

    known = {one.id for one in everything}
    crystals = list({one.host.family: one.host for one in everything}.values())
    named = [one for file in settings.files for one in configurations_of_any(file, crystals)]
    missing = [one for one in named if one.id not in known]
    if missing:
        raise InputError(
            f"{len(missing)} of the {len(named)} configurations in {', '.join(settings.files)} are not among the campaign's, "
            f"such as {missing[0]}; list them under configurations as well."
        )
    return {one.id for one in named}


def _drawn(everything: Sequence[DefectConfiguration], fraction: float, seed: int) -> set[str]:
    """Whole groups of what must not be parted, each time of the label that has given the fewest."""
    from definet_flows.training.datasets.split import related

    groups = [[everything[i] for i in members] for members in related(everything)]
    strata: dict[str, list[list[DefectConfiguration]]] = {}
    for members in groups:
        if all(one.n_defects > 1 for one in members):
            strata.setdefault(members[0].label, []).append(members)
    drawn: set[str] = set()
    for members in _in_turn(strata, seed):
        if len(drawn) + len(members) <= round(fraction * len(everything)):
            drawn.update(one.id for one in members)
    return drawn


def _in_turn(strata: Mapping[str, list[list[DefectConfiguration]]], seed: int) -> Iterator[list[DefectConfiguration]]:
    ranked = [
        (place, draw_rank(seed, label), members)
        for label, groups in strata.items()
        for place, members in enumerate(sorted(groups, key=lambda group: draw_rank(seed, group[0].id)))
    ]
    return (members for *_, members in sorted(ranked, key=lambda entry: entry[:2]))


def _without_empty(
    shares: Mapping[str, Iterable[DefectConfiguration]],
) -> dict[str, list[DefectConfiguration]]:
    return {name: found for name, members in shares.items() if (found := list(members))}
