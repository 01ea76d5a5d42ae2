from __future__ import annotations

import bz2
import lzma
import os
import shutil
import tarfile
from pathlib import Path

import pytest

from definet_flows.engines.vasp.outputs.files import is_run_directory, read_directory, run_directories
from definet_flows.errors import InputError
from tests import vasp_runs


def sources(folder):
    return [attempt.source for attempt in read_directory(folder).attempts]


def write(folder, *names, content="one"):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text(f"{content} {name}\n")
    return folder


def test_files_are_known_by_their_names_alone(tmp_path):
    folder = write(
        tmp_path / "run", "OUTCAR", "POSCAR", "INCAR.orig", "OUTCARS", "notes.txt", "vasprun.txt", "POTCAR.spec"
    )
    found = read_directory(folder)
    assert found.attempts[0].files.keys() == {"OUTCAR", "POSCAR"}
    assert found.original.keys() == {"INCAR"}


@pytest.mark.parametrize("name", ["vasprun.xml", "OUTCAR", "OSZICAR.gz", "vasprun.relax1.xml", "vasprun.xml.relax1.gz"])
def test_one_output_makes_a_run_directory(tmp_path, name):
    assert is_run_directory(write(tmp_path / "run", name))
    assert not is_run_directory(write(tmp_path / "inputs", "POSCAR", "INCAR"))


def test_a_directory_without_outputs_says_so(tmp_path):
    with pytest.raises(InputError, match="VASP has written nothing in"):
        read_directory(write(tmp_path, "POSCAR"))


def test_every_compression_is_opened(run_copy):
    plain = (run_copy / "OUTCAR").read_bytes()
    for suffix, packed in ((".bz2", bz2.compress(plain)), (".xz", lzma.compress(plain))):
        folder = run_copy / suffix
        folder.mkdir()
        (folder / f"OUTCAR{suffix}").write_bytes(packed)
        (attempt,) = read_directory(folder).attempts
        assert attempt.files["OUTCAR"].text().encode() == plain


def test_several_runs_in_one_directory_come_in_order(tmp_path):
    names = ("OUTCAR.relax2", "OUTCAR.relax10", "OUTCAR.relax1", "OUTCAR", "vasprun.relax1.xml", "POTCAR")
    folder = write(tmp_path, *names)
    assert sources(folder) == ["relax1", "relax2", "relax10", "."]
    first = read_directory(folder).attempts[0].files
    assert first.keys() == {"OUTCAR", "vasprun", "POTCAR"}, "one POTCAR serves them all"


def test_folders_of_earlier_launches_belong_to_the_run(tmp_path):
    write(tmp_path, "OUTCAR", content="last")
    write(tmp_path / "launch-2", "OUTCAR", content="second")
    write(tmp_path / "launch-1", "OUTCAR", content="first")
    vasp_runs.pack_as_error(tmp_path / "launch-1")
    (tmp_path / "launch-1" / "OUTCAR").write_text("first, once more")
    assert sources(tmp_path) == ["launch-1/error.1.tar.gz", "launch-1", "launch-2", "."]
    assert list(run_directories([tmp_path])) == [tmp_path]


def test_archives_come_first_and_in_order(tmp_path):
    for number in range(1, 12):
        write(tmp_path, "OUTCAR", content=f"number {number}")
        os.utime(tmp_path / "OUTCAR", (100 * number, 100 * number))
        vasp_runs.pack_as_error(tmp_path, number)
    write(tmp_path, "OUTCAR", content="last")
    assert sources(tmp_path) == [*(f"error.{number}.tar.gz" for number in range(1, 12)), "."]


def test_an_archive_lies_between_the_runs_it_was_made_between(tmp_path):
    for name, time in (("OUTCAR.relax1", 100), ("OUTCAR", 200)):
        write(tmp_path, name)
        os.utime(tmp_path / name, (time, time))
    vasp_runs.pack_as_error(tmp_path, names=("OUTCAR",))
    (tmp_path / "OUTCAR").write_text("what came after the error")
    assert sources(tmp_path) == ["relax1", "error.1.tar.gz", "."]


def test_what_custodian_packed_and_then_gave_up_counts_once(tmp_path):
    write(tmp_path, "OUTCAR", "OSZICAR")
    vasp_runs.pack_as_error(tmp_path, 1)
    assert sources(tmp_path) == ["."]
    with (tmp_path / "OUTCAR").open("a") as file:
        file.write("\nsome lines more, written before it was stopped")
    assert sources(tmp_path) == ["."]
    (tmp_path / "OUTCAR").write_text("another start")
    assert sources(tmp_path) == ["error.1.tar.gz", "."]


def test_archives_without_outputs_and_damaged_ones_are_passed_over(tmp_path):
    write(tmp_path, "OUTCAR", "INCAR")
    vasp_runs.pack_as_error(tmp_path, 1, names=("INCAR",))
    (tmp_path / "error.2.tar.gz").write_bytes(b"no archive")
    with tarfile.open(tmp_path / "error.3.tar", "w"):
        pass
    assert sources(tmp_path) == ["."]


def test_links_are_followed_and_broken_ones_left_out(tmp_path):
    elsewhere = write(tmp_path / "scratch", "OUTCAR", "vasprun.xml")
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("OUTCAR", "vasprun.xml"):
        (folder / name).symlink_to(elsewhere / name)
    (elsewhere / "vasprun.xml").unlink()
    assert read_directory(folder).attempts[0].files.keys() == {"OUTCAR"}


def test_trees_are_walked_once_however_they_are_linked(tmp_path):
    for name in ("a/run", "b/run", "b/deep/er/run"):
        write(tmp_path / name, "OUTCAR", content=name)
    (tmp_path / "a" / "again").symlink_to(tmp_path / "b")
    (tmp_path / "b" / "up").symlink_to(tmp_path)
    found = [path.resolve().relative_to(tmp_path.resolve()) for path in run_directories([tmp_path, tmp_path / "b"])]
    assert sorted(map(str, found)) == ["a/run", "b/deep/er/run", "b/run"]


def test_runs_that_are_only_numbered_are_runs_of_their_own(tmp_path):
    for name in ("run1", "run2"):
        write(tmp_path / name, "OUTCAR", content=name)
    assert len(list(run_directories([tmp_path]))) == 2


def test_a_run_of_which_only_archives_are_left_is_found(tmp_path):
    write(tmp_path, "OUTCAR")
    vasp_runs.pack_as_error(tmp_path)
    (tmp_path / "OUTCAR").unlink()
    assert list(run_directories([tmp_path])) == [tmp_path]
    shutil.rmtree(tmp_path / "missing", ignore_errors=True)
    assert sources(tmp_path) == ["error.1.tar.gz"]


def test_a_folder_that_may_not_be_read_is_left_to_the_reader_to_say_so(tmp_path, monkeypatch):
    write(tmp_path / "mine", "OUTCAR")
    (tmp_path / "theirs").mkdir()
    listed = Path.iterdir

    def guarded(path):
        if path.name == "theirs":
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", guarded)
    assert [path.name for path in run_directories([tmp_path])] == ["mine", "theirs"]
    with pytest.raises(PermissionError):
        read_directory(tmp_path / "theirs")
