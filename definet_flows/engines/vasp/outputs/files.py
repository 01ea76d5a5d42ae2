"""Which files of a VASP run directory belong to which start of VASP, wherever custodian or a user has put them."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from definet_flows.errors import InputError

OUTPUTS = ("vasprun", "OUTCAR", "OSZICAR")
"""Kinds of file that show that VASP ran; the others only help to read these."""

LAST = "."
"""Where the files of the last start lie: in the directory itself, under VASP's own names."""

_KINDS = (*OUTPUTS, "CONTCAR", "POSCAR", "INCAR", "KPOINTS", "POTCAR", "vasp.out")
_NAME = re.compile(rf"(?P<kind>{'|'.join(map(re.escape, _KINDS))})(?P<tag>.*)")
_ARCHIVE = re.compile(r"(?:error|prev_run)\.(\d+)\.tar(?:\.gz)?")
_EARLIER_FOLDER = re.compile(r"(?:relax|launch)[-_.]?\d+")
_INPUT_COPY = "orig"
_COMPRESSED = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_CHUNK = 1 << 20

DAMAGED = (OSError, EOFError, tarfile.TarError, lzma.LZMAError, zlib.error)
"""What reading a file raises that was cut off, is compressed in another way than its name says, or is gone."""


@dataclass(frozen=True)
class RunFile:
    """One file, in a directory or in one of custodian's archives.

    Parameters
    ----------
    path
        The file, or the archive that it lies in.
    member
        Its name in the archive; None for a file of its own.
    modified
        When it was written, s since the epoch.
    """

    path: Path
    member: str | None
    modified: float

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.path.name if self.member is None else f"{self.member.rpartition('/')[2]} in {self.path.name}"

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The decompressed content; reading it may raise any of `DAMAGED`."""
        if self.member is not None:
            with tarfile.open(self.path) as archive:
                content = archive.extractfile(self.member)
                if content is None:
                    raise tarfile.ExtractError(f"{self.member} is no file")
                yield _decompressed(content, self.member)
            return
        with self.path.open("rb") as content:
            yield _decompressed(content, self.path.name)

    def text(self) -> str:
        """The whole content; for small files."""
        with self.open() as content:
            return content.read().decode(errors="replace")


def _decompressed(content: IO[bytes], name: str) -> IO[bytes]:
    opener = _COMPRESSED.get(Path(name).suffix)
    return content if opener is None else opener(content)  # type: ignore[operator]


@dataclass(frozen=True)
class AttemptFiles:
    """The files of one start of VASP.

    Parameters
    ----------
    source
        `LAST`, the name of an archive, a suffix such as relax1, or a folder.
    files
        Kind of file, such as OUTCAR, to the file.
    """

    source: str
    files: dict[str, RunFile]

    @property
    def modified(self) -> float:
        """When its newest output was written, s since the epoch."""
        return max(self.files[kind].modified for kind in OUTPUTS if kind in self.files)


@dataclass(frozen=True)
class RunDirectory:
    """A run directory, sorted.

    Parameters
    ----------
    path
        The directory.
    attempts
        Every start of VASP, in order; the last is the one whose end counts.
    original
        Inputs as they were before custodian changed them, by kind.
    custodian_logs
        custodian.json of every launch, in order.
    """

    path: Path
    attempts: list[AttemptFiles]
    original: dict[str, RunFile]
    custodian_logs: list[RunFile]


def is_run_directory(directory: Path) -> bool:
    """Whether VASP has written into a directory."""
    return any(kind in OUTPUTS for kind, _, _ in _named_files(directory))


def read_directory(directory: Path) -> RunDirectory:
    """Sort the files of a run directory by the start of VASP that wrote them.

    Files that are the beginning of a later start's file are left out: custodian keeps a copy of a run that it then gives up.

    Raises
    ------
    InputError
        If VASP has written nothing there.
    """
    tagged: dict[str, dict[str, RunFile]] = {}
    for kind, tag, file in _named_files(directory):
        tagged.setdefault(tag, {})[kind] = file
    original, here = tagged.pop(_INPUT_COPY, {}), tagged.pop("", {})
    suffixed = [AttemptFiles(tag, {**_inputs(here), **tagged[tag]}) for tag in sorted(tagged, key=_natural)]
    folders = _earlier_folders(directory)
    in_folders = [_moved(one, folder) for folder in folders for one in folder.attempts]
    earlier = _merged(_archived(directory), [*in_folders, *suffixed])
    attempts = [attempt for attempt in [*earlier, AttemptFiles(LAST, here)] if attempt.files.keys() & set(OUTPUTS)]
    if not attempts:
        raise InputError(f"VASP has written nothing in {directory}: no vasprun.xml, OUTCAR or OSZICAR.")
    logs = [log for folder in folders for log in folder.custodian_logs]
    logs += [RunFile(path, None, 0.0) for path in sorted(directory.glob("custodian.json*"))[:1]]
    return RunDirectory(directory, _without_copies(attempts), original, logs)


def _named_files(directory: Path) -> Iterator[tuple[str, str, RunFile]]:
    """Kind, tag and file for all of a directory that VASP reads or writes; links are followed, broken ones left out."""
    for path in sorted(directory.iterdir()):
        parsed = _kind_and_tag(path.name)
        if parsed is not None and path.is_file():
            yield (*parsed, RunFile(path, None, path.stat().st_mtime))


def _kind_and_tag(name: str) -> tuple[str, str] | None:
    plain = name.removesuffix(Path(name).suffix) if Path(name).suffix in _COMPRESSED else name
    found = _NAME.fullmatch(plain)
    if found is None:
        return None
    kind, tag = found["kind"], found["tag"]
    if kind == "vasprun":
        if ".xml" not in tag:
            return None
        tag = tag.replace(".xml", "", 1)
    if tag and tag[0].isalpha():
        return None  # another file whose name begins alike
    return kind, tag.strip(".-_")


def _inputs(files: dict[str, RunFile]) -> dict[str, RunFile]:
    """What several starts in one directory share: custodian's double relaxations have one POTCAR."""
    return {kind: file for kind, file in files.items() if kind in {"POTCAR", "KPOINTS"}}


def _natural(tag: str) -> tuple[int, str]:
    number = re.search(r"\d+", tag)
    return (int(number[0]) if number else -1, tag)


def _archived(directory: Path) -> list[AttemptFiles]:
    """Starts that custodian packed away, oldest first."""
    archives = [(path, found) for path in directory.iterdir() if (found := _ARCHIVE.fullmatch(path.name))]
    attempts = [(_in_archive(path), int(found[1])) for path, found in archives]
    numbered = [(attempt, number) for attempt, number in attempts if attempt.files.keys() & set(OUTPUTS)]
    return [attempt for attempt, _ in sorted(numbered, key=lambda pair: (pair[0].modified, pair[1], pair[0].source))]


def _in_archive(path: Path) -> AttemptFiles:
    files = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                parsed = _kind_and_tag(member.name.rpartition("/")[2])
                if member.isfile() and parsed is not None and not parsed[1]:
                    files[parsed[0]] = RunFile(path, member.name, member.mtime)
    except DAMAGED:
        # Of an archive that was cut off, what comes before the cut is still there.
        pass
    return AttemptFiles(path.name, files)


def _earlier_folders(directory: Path) -> list[RunDirectory]:
    """Folders of earlier starts, such as relax1 or launch-1, with whatever lies archived in them."""
    folders = [path for path in directory.iterdir() if path.is_dir() and _EARLIER_FOLDER.fullmatch(path.name)]
    return [read_directory(folder) for folder in sorted(folders, key=_by_number) if is_run_directory(folder)]


def _by_number(path: Path) -> tuple[int, str]:
    return _natural(path.name)


def _moved(attempt: AttemptFiles, folder: RunDirectory) -> AttemptFiles:
    """A start as seen from the directory above its own."""
    name = folder.path.name
    return AttemptFiles(name if attempt.source == LAST else f"{name}/{attempt.source}", attempt.files)


def _merged(archived: Sequence[AttemptFiles], named: Sequence[AttemptFiles]) -> list[AttemptFiles]:
    """Named starts in their order, each archive before the first of them that was written later."""
    waiting, merged = list(archived), []
    for attempt in named:
        if not attempt.files.keys() & set(OUTPUTS):
            continue
        while waiting and waiting[0].modified <= attempt.modified:
            merged.append(waiting.pop(0))
        merged.append(attempt)
    return merged + waiting


def _without_copies(attempts: Sequence[AttemptFiles]) -> list[AttemptFiles]:
    return [
        attempt
        for position, attempt in enumerate(attempts)
        if not any(_begins(attempt, later) for later in attempts[position + 1 :])
    ]


def _begins(earlier: AttemptFiles, later: AttemptFiles) -> bool:
    """Whether one start's output is the first part of another's, which makes them the same start."""
    for kind in ("OUTCAR", "vasprun", "OSZICAR"):  # the first is full of times, the last may be the same by chance
        if kind in earlier.files and kind in later.files:
            return _is_prefix(earlier.files[kind], later.files[kind])
    return False


def _is_prefix(short: RunFile, long: RunFile) -> bool:
    try:
        with short.open() as first, long.open() as second:
            length = 0
            while chunk := first.read(_CHUNK):
                if second.read(len(chunk)) != chunk:
                    return False
                length += len(chunk)
            return length > 0
    except DAMAGED:
        return False


def run_directories(roots: Iterable[Path]) -> Iterator[Path]:
    """Every run directory in some trees, each once; folders of earlier starts belong to the run above them.

    Parameters
    ----------
    roots
        Directories; links are followed, and a link back up is not.
    """
    seen: set[Path] = set()
    for root in roots:
        yield from _below(root, seen)


def _below(directory: Path, seen: set[Path]) -> Iterator[Path]:
    real = directory.resolve()
    if real in seen:
        return
    seen.add(real)
    try:
        folders = [path for path in sorted(directory.iterdir()) if path.is_dir()]
        starts = [path for path in folders if _EARLIER_FOLDER.fullmatch(path.name) and is_run_directory(path)]
        found = bool(starts) or is_run_directory(directory) or any(map(_ARCHIVE.fullmatch, _names(directory)))
    except OSError:  # no permission, for example; whoever reads it meets the same error and can say so
        folders, starts, found = [], [], True
    if found:
        yield directory
        seen.update(path.resolve() for path in starts)
    for folder in folders:
        yield from _below(folder, seen)


def _names(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]
