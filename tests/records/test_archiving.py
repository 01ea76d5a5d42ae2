from __future__ import annotations

import json
import os
import tarfile

import pytest

from definet_flows.errors import InputError
from definet_flows.flows import load_campaign
from definet_flows.flows.plan import campaign_record
from definet_flows.records import build_savings, open_store
from definet_flows.records.archiving import MANIFEST, ArchiveError, archived_contents, write_archive
from definet_flows.records.extract import pristine_configuration


@pytest.fixture
def run(copper, tmp_path):
    """A store with two campaigns on one host, of which one has both starts on record."""
    host = copper.host()
    with open_store(tmp_path / "run") as store:
        for name, recipes in (("one", "[V_Cu]"), ("two", "[Al_Cu]")):
            path = copper.write_campaign(tmp_path, name=name, configurations=f"{{recipes: {recipes}}}")
            campaign = load_campaign(path)
            listed = campaign.configurations.configurations(host)
            store.put_campaign(campaign_record(campaign, host, copper.MODEL, listed))
            predictions = [copper.prediction(one) for one in listed]
            store.add_predictions(predictions)
            store.add_relaxations(copper.record(one, campaign=name) for one in listed)
            store.add_relaxations(
                copper.record(one, first, shift=0.1) for one, first in zip(listed, predictions, strict=True)
            )
        store.add_relaxations([copper.record(pristine_configuration(host))])
        store.put_savings(build_savings(store))
    return tmp_path / "run"

    return pristine_configuration(copper.host())


def everything(place):
    with open_store(place, read_only=True) as store:
        return (
            sorted(store.relaxations(positions=True), key=lambda one: one.key),
            sorted(store.predictions(positions=True), key=lambda one: one.key),
            sorted(store.savings(), key=lambda one: one.key),
            store.campaigns(),
        )


def unpacked(file, folder):
    with tarfile.open(file) as archive:
        archive.extractall(folder, filter="data")
    return folder


def test_an_archive_is_the_store_again_once_unpacked(run, tmp_path):
    file = tmp_path / "kept.tar.gz"
    with open_store(run, read_only=True) as store:
        contents = write_archive(store, "kept", file)
    assert {name: one["documents"] for name, one in contents.items() if one["documents"]} == {
        "campaigns": 2,
        "relaxations": 5,
        "predictions": 2,
        "savings": 2,
        "arrays": 7,
    }
    assert archived_contents(file) == contents
    assert everything(unpacked(file, tmp_path / "there") / "kept") == everything(run)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_campaign_of_several_takes_its_own_records_and_the_pristine_one(run, tmp_path):
    file = tmp_path / "one.tgz"
    with open_store(run, read_only=True) as store:
        (record,) = store.campaigns({"name": "one"})
        contents = write_archive(store, "one", file, [record])
    assert [
        contents[name]["documents"] for name in ("campaigns", "relaxations", "predictions", "savings", "arrays")
    ] == [*(1, 3, 1, 1, 4)]
    relaxations, _, savings, campaigns = everything(unpacked(file, tmp_path / "there") / "one")
    assert {one.label for one in relaxations} == {"V_Cu", "pristine"}
    assert all(one.positions for one in relaxations)
    assert ([one.label for one in savings], [one.name for one in campaigns]) == (["V_Cu"], ["one"])


def test_what_is_there_already_is_left_if_it_is_the_same(run, tmp_path, copper):
    file = tmp_path / "kept.tar.gz"
    with open_store(run, read_only=True) as store:
        first = write_archive(store, "kept", file)
        before = file.read_bytes()
        assert write_archive(store, "kept", file) == first
    with open_store(run) as store:
        store.add_relaxations([copper.record(copper.configuration({0: "Ni"}))])
        with pytest.raises(InputError, match="is there already and holds something else; name another file"):
            write_archive(store, "kept", file)
    assert file.read_bytes() == before


def test_nothing_is_there_before_it_is_whole(run, tmp_path, monkeypatch):
    file = tmp_path / "kept.tar.gz"

    def full(*_):
        raise OSError(28, os.strerror(28))

    with open_store(run, read_only=True) as store:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(InputError, match=r"cannot be written .No space left on device.; name another place"):
                write_archive(store, "kept", file)
        assert not file.exists()
        write_archive(store, "kept", file)
    assert file.exists()


def test_a_damaged_archive_is_told(run, tmp_path):
    file = tmp_path / "kept.tar.gz"
    with open_store(run, read_only=True) as store:
        write_archive(store, "kept", file)
    folder = unpacked(file, tmp_path / "there") / "kept"
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["collections"]["relaxations"]["documents"] = 4
    (folder / MANIFEST).write_text(json.dumps(manifest))
    changed, cut_off = tmp_path / "changed.tar.gz", tmp_path / "cut.tar.gz"
    with tarfile.open(changed, "w:gz") as archive:
        archive.add(folder, arcname="kept")
    cut_off.write_bytes(file.read_bytes()[:2000])
    for damaged in (changed, cut_off):
        with pytest.raises(ArchiveError, match=damaged.name):
            archived_contents(damaged)


def test_an_archive_ends_in_what_it_is(run, tmp_path):
    with open_store(run, read_only=True) as store, pytest.raises(InputError, match=r"must end in \.tar\.gz or \.tgz"):
        write_archive(store, "kept", tmp_path / "kept.zip")
