"""The results of campaigns, for those who ask: in a notebook, in a script, on the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from definet_flows.records.documents import ConfigurationSummary, PredictionRecord, RelaxationRecord, SavingsRecord
from definet_flows.records.errors import StoreContentError
from definet_flows.records.query import files, structures, tables
from definet_flows.records.query.criteria import checked
from definet_flows.records.query.filters import ResultFilter
from definet_flows.records.query.kinds import Kind
from definet_flows.records.query.membership import ANY, of_campaign
from definet_flows.records.query.pairs import current_savings
from definet_flows.records.store import Criteria, RecordStore, open_store

if TYPE_CHECKING:
    import pandas as pd
    from ase import Atoms
    from pymatgen.entries.computed_entries import ComputedStructureEntry

Document = TypeVar("Document", RelaxationRecord, PredictionRecord, SavingsRecord)


class Selection(Sequence[Document], Generic[Document]):
    """What was found: a sequence of records, by label, configuration and start, that can be shown in other forms.

    Parameters
    ----------
    store
        Where the records are.
    kind
        What they are.
    find
        Reads them, when they are first asked for; later they stay as they were then.
    """

    def __init__(self, store: RecordStore, kind: Kind, find: Callable[[], Sequence[Document]]) -> None:
        self.kind = kind
        self._store = store
        self._find: Callable[[], Sequence[Document]] = find

    @cached_property
    def records(self) -> list[Document]:
        """The records, without their coordinates."""
        return sorted(self._find(), key=_order)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: Any) -> Any:
        """One record, or with a slice a selection of them."""
        if isinstance(index, slice):
            some = self.records[index]
            return Selection(self._store, self.kind, lambda: some)
        return self.records[index]

    def __iter__(self) -> Iterator[Document]:
        return iter(self.records)

    def to_pandas(self) -> pd.DataFrame:
        """As a DataFrame with the columns that docs/query.md lists, one row for each record.

        Raises
        ------
        InputError
            If pandas is not installed.
        """
        return tables.frame(self.kind, self.records)

    def rows(self) -> list[dict[str, Any]]:
        """As plain dictionaries with the same columns; lists and settings stay what they are."""
        return list(tables.rows(self.kind, self.records))

    def to_ase(self) -> list[Atoms]:
        """Initial, predicted and relaxed structures without vacancy placeholders, with energies where they are known."""
        return list(structures.atoms(self._store, self.records))

    def to_entries(self) -> list[ComputedStructureEntry]:
        """Converged ends as pymatgen's ComputedStructureEntry."""
        return list(structures.entries(self._store, self.records))

    def write(self, path: str | Path) -> Path:
        """Write a file in the format of its suffix: ``.parquet``, ``.csv``, ``.json``, ``.jsonl`` or ``.xyz`` (extended).

        Raises
        ------
        InputError
            If there is no such format, the file cannot be written, or a package for it is missing.
        """
        return files.write(self._store, self.kind, self.records, Path(path))


class ResultsStore:
    """A results store opened to be asked, never changed: the same answers from a directory and from MongoDB.

    Parameters
    ----------
    place
        A campaign's directory, the address of a database, or a store file.

    Raises
    ------
    StoreContentError
        If there are no results.
    StoreError
        If it cannot be reached or read.

    Examples
    --------
    >>> with ResultsStore("demo-run") as results:
    ...     stable = results.relaxations(defect="V_S", state="converged", concentration=(None, 0.02))
    ...     table = stable.to_pandas()
    """

    def __init__(self, place: str | Path) -> None:
        self.store = open_store(place, read_only=True)
        if not self.store.is_begun():
            self.store.close()
            raise StoreContentError(f"{self.store.location} holds no results yet; run a campaign first.")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the store."""
        self.store.close()

    def relaxations(
        self, given: ResultFilter | None = None, *, where: Criteria | None = None, **filters: Any
    ) -> Selection[RelaxationRecord]:
        """Relaxations from either start, whether they converged or not.

        Parameters
        ----------
        given
            What is wanted; all by default.
        where
            MongoDB criteria that must fit besides, such as ``{"ionic_steps": {"$gt": 50}}``.
        **filters
            Fields of `ResultFilter` by name, added to `given`.

        Raises
        ------
        InputError
            If a filter, a field or an operator is unknown, or a range holds nothing.
        """
        criteria, keep = self._asked(Kind.RELAXATIONS, given, where, filters)
        return Selection(
            self.store, Kind.RELAXATIONS, lambda: [one for one in self.store.relaxations(criteria) if keep(one)]
        )

    def predictions(
        self, given: ResultFilter | None = None, *, where: Criteria | None = None, **filters: Any
    ) -> Selection[PredictionRecord]:
        """Predictions of the network; arguments as for `relaxations`."""
        criteria, keep = self._asked(Kind.PREDICTIONS, given, where, filters)
        return Selection(
            self.store, Kind.PREDICTIONS, lambda: [one for one in self.store.predictions(criteria) if keep(one)]
        )

    def savings(
        self, given: ResultFilter | None = None, *, where: Criteria | None = None, **filters: Any
    ) -> Selection[SavingsRecord]:
        """Pairs of runs as of now, built here where the store holds older ones; arguments as for `relaxations`."""
        criteria, keep = self._asked(Kind.SAVINGS, given, where, filters)
        configurations = ResultFilter.of(given, **filters).of_configurations()
        return Selection(
            self.store,
            Kind.SAVINGS,
            lambda: [one for one in current_savings(self.store, configurations, criteria) if keep(one)],
        )

    def select(self, kind: Kind, given: ResultFilter | None = None, *, where: Criteria | None = None) -> Selection[Any]:
        """Documents of a kind that is named; arguments as for `relaxations`."""
        found: Callable[..., Selection[Any]] = getattr(self, kind.value)
        return found(given, where=where)

    def _asked(
        self, kind: Kind, given: ResultFilter | None, where: Criteria | None, filters: dict[str, Any]
    ) -> tuple[Criteria, Callable[[ConfigurationSummary], bool]]:
        """Criteria for the store, and what only the records themselves can answer."""
        wanted = ResultFilter.of(given, **filters)
        membership = ANY if wanted.campaign is None else of_campaign(self.store, wanted.campaign)
        conditions = [wanted.criteria(kind), membership.criteria, checked(kind, where or {})]
        criteria = {"$and": asked} if (asked := [one for one in conditions if one]) else {}
        return criteria, lambda record: wanted.is_within(record) and membership.has(record)


def _order(record: ConfigurationSummary) -> tuple[str, ...]:
    return record.label, record.configuration_id, getattr(record, "start", ""), record.key
