"""Point defects and recipes in the field's notation: ``V_S`` is a sulphur vacancy, ``Se_S`` selenium on a sulphur site."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from pymatgen.core import Element

from definet_flows.errors import InputError

VACANCY = "Vac"
"""Species of a vacated site. It cannot be ``V``, which is vanadium."""

_NOTATION = re.compile(r"(?P<new>[A-Z][a-z]*|v)_(?P<host>[A-Z][a-z]?)")
_UNSUPPORTED = re.compile(r"_i\b|_i_|^i_|(?i:inters|split|recon|dumbbell|frenkel)")


@dataclass(frozen=True, order=True)
class PointDefect:
    """One changed site: an atom of `host_species` removed or replaced.

    Parameters
    ----------
    host_species
        Element symbol of the pristine site.
    new_species
        Element symbol now on it, or `VACANCY`. An antisite is a substitution by a host species.

    Examples
    --------
    >>> PointDefect.parse("Se_S")
    PointDefect(host_species='S', new_species='Se')
    """

    host_species: str
    new_species: str

    def __post_init__(self) -> None:
        for symbol in {self.host_species, self.new_species} - {VACANCY}:
            if not Element.is_valid_symbol(symbol):
                raise InputError(
                    f"'{symbol}' is not an element; write defects as V_S (vacancy) or Se_S (Se on an S site)."
                )
        if self.host_species == self.new_species:
            raise InputError(f"{self} changes nothing; name another species for the site.")

    @property
    def is_vacancy(self) -> bool:
        """Whether the site is left empty."""
        return self.new_species == VACANCY

    @classmethod
    def parse(cls, text: str) -> PointDefect:
        """Read ``V_S``, ``Se_S`` or, for vanadium on a molybdenum site, ``Vanadium_Mo``.

        Raises
        ------
        InputError
            For anything else; interstitials, split defects and reconstructions are refused by name.
        """
        match = _NOTATION.fullmatch(text.strip())
        if match is None or _UNSUPPORTED.search(text):
            raise InputError(_refusal(text.strip()))
        new = match["new"]
        vacated = new in {"V", "v", VACANCY}
        return cls(match["host"], VACANCY if vacated else {"Vanadium": "V"}.get(new, new))

    def __str__(self) -> str:
        new = {VACANCY: "V", "V": "Vanadium"}.get(self.new_species, self.new_species)
        return f"{new}_{self.host_species}"


def _refusal(text: str) -> str:
    if _UNSUPPORTED.search(text):
        return (
            f"'{text}' is an interstitial, split defect or reconstruction, which the model cannot represent "
            "(its markers are pristine, substitution and vacancy); use vacancies, substitutions and antisites."
        )
    return f"'{text}' is not a point defect; write V_S for a vacancy or Se_S for Se on an S site."


@dataclass(frozen=True)
class Recipe:
    """A multiset of point defects that are placed together, such as ``V_Mo+V_S+V_S``.

    Parameters
    ----------
    counts
        Pairs (defect, how many of it), sorted by defect.
    """

    counts: tuple[tuple[PointDefect, int], ...]

    @classmethod
    def parse(cls, text: str | Recipe) -> Recipe:
        """Read defects joined by ``+``; their order does not matter.

        Raises
        ------
        InputError
            If a part is not a point defect, or there is none.
        """
        if isinstance(text, Recipe):
            return text
        return cls.of(PointDefect.parse(part) for part in text.split("+"))

    @classmethod
    def of(cls, defects: Iterable[PointDefect]) -> Recipe:
        """The recipe of some defects, in any order."""
        return cls(tuple(sorted(Counter(defects).items())))

    @property
    def n_defects(self) -> int:
        """Total number of defects."""
        return sum(count for _, count in self.counts)

    def label(self, host_species: tuple[str, ...]) -> str:
        """Name of the recipe: host species in the host's order, a site's vacancies before its substitutions."""
        rank = {symbol: position for position, symbol in enumerate(dict.fromkeys(host_species))}
        ordered = sorted(
            self.counts,
            key=lambda item: (rank.get(item[0].host_species, 999), not item[0].is_vacancy, item[0].new_species),
        )
        return "+".join(str(defect) for defect, count in ordered for _ in range(count))

    def check_against(self, host_name: str, species: tuple[str, ...]) -> None:
        """Refuse a recipe that the sites of a supercell cannot hold.

        Parameters
        ----------
        host_name
            Named in the message.
        species
            Species of each site of the supercell.

        Raises
        ------
        InputError
            If a host species is missing, or the recipe asks for more defects than there are sites.
        """
        available = Counter(species)
        needed: Counter[str] = Counter()
        for defect, count in self.counts:
            needed[defect.host_species] += count
        for symbol, count in needed.items():
            if not available[symbol]:
                raise InputError(
                    f"{host_name} has no {symbol} sites for {self}; its species are {', '.join(available)}."
                )
            if count > available[symbol]:
                raise InputError(
                    f"{self} needs {count} {symbol} sites but {host_name} has {available[symbol]}; use a larger supercell."
                )

    def __str__(self) -> str:
        return "+".join(str(defect) for defect, count in self.counts for _ in range(count))
