from __future__ import annotations

import json

import pytest

from definet_flows.defects import Host, enumerate_configurations, write_configurations
from definet_flows.errors import InputError
from definet_flows.flows import load_campaign
from definet_flows.flows.validation import HeldOutSettings, split_configurations

RECIPES = ("V_S", "V_Mo", "V_Mo+V_S", "V_S+V_S", "V_S+Se_S")


@pytest.fixture(scope="module")
def listed():
    """All configurations of two sizes of one host."""
    hosts = {f"MoS2-{n}": Host.from_preset("MoS2", (n, n, 1), vacuum=15) for n in (4, 5)}
    return {
        name: [c for recipe in RECIPES for c in enumerate_configurations(host, recipe)] for name, host in hosts.items()
    }


def test_a_drawn_share_has_no_single_defect_and_no_cluster_of_the_training_share(listed):
    split = split_configurations(listed, HeldOutSettings(fraction=0.3, seed=1))
    training, held_out = (
        [one for members in share.values() for one in members] for share in (split.training, split.held_out)
    )
    assert len(training) + len(held_out) == sum(map(len, listed.values()))
    assert 0.2 < len(held_out) / (len(training) + len(held_out)) <= 0.3
    assert min(one.n_defects for one in held_out) == 2
    assert {one.label for one in held_out} == {"V_Mo+V_S", "V_S+V_S", "V_S+Se_S"}
    readings = {reading for one in training for reading in one.possible_cluster_ids}
    assert not readings & {reading for one in held_out for reading in one.possible_cluster_ids}


def test_the_draw_depends_on_the_seed_alone(listed):
    def drawn(seed, order=1):
        turned = {name: members[::order] for name, members in listed.items()}
        return split_configurations(turned, HeldOutSettings(fraction=0.3, seed=seed)).hash

    assert drawn(1) == drawn(1, order=-1) != drawn(2)


def test_lists_say_what_is_held_out_at_every_size(listed, tmp_path):
    wanted = [listed["MoS2-4"][3], listed["MoS2-5"][-1]]
    file = write_configurations(wanted, tmp_path / "held-out.jsonl")
    split = split_configurations(listed, HeldOutSettings(files=(str(file),)))
    assert split.ids(split.held_out) == {one.id for one in wanted}
    small = {"MoS2-4": listed["MoS2-4"]}
    with pytest.raises(InputError, match=r"1 of the 2 configurations in .*held-out.jsonl are not among the campaign's"):
        split_configurations(small, HeldOutSettings(files=(str(file),)))


def test_without_settings_everything_is_held_out(listed):
    split = split_configurations(listed, None)
    assert not split.training
    assert {name: len(members) for name, members in split.held_out.items()} == {n: len(c) for n, c in listed.items()}


def test_a_split_is_fixed_once(listed, tmp_path):
    file = tmp_path / "validation" / "split.json"
    first, other = (split_configurations(listed, HeldOutSettings(fraction=0.3, seed=seed)) for seed in (1, 2))
    first.fix(file)
    before = file.read_text()
    first.fix(file)
    assert file.read_text() == before
    with pytest.raises(
        InputError, match=f"has fixed the split {first.hash}, and the campaign file now gives {other.hash}"
    ):
        other.fix(file)
    content = json.loads(before)
    content["held_out"]["MoS2-4"].pop()
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match="was changed after it was written"):
        first.fix(file)
    file.write_text("{")
    with pytest.raises(InputError, match="is not a split"):
        first.check(file)
    with pytest.raises(InputError, match="nothing has been validated there yet"):
        first.check(tmp_path / "elsewhere.json")


@pytest.mark.parametrize(
    ("validation", "saying"),
    [
        ("{held_out: {}}", "give either files or a fraction"),
        ("{held_out: {files: [a.jsonl], fraction: 0.1}}", "give either files or a fraction"),
        ("{held_out: {fraction: 1.5}}", "validation.held_out.fraction"),
        ("{training: train.yaml}", "held_out is missing"),
        ("{heldout: {fraction: 0.5}}", "held_out"),
        ("{held_out: {fraction: 0.5}, training: train.yaml, paid_core_hours: 2}", "what a training takes is measured"),
        ("{paid_core_hours: -1}", "validation.paid_core_hours"),
    ],
)
def test_what_the_file_says_wrongly(copper, tmp_path, validation, saying):
    with pytest.raises(InputError, match=saying):
        load_campaign(copper.write_campaign(tmp_path, validation=validation))


def test_paths_are_those_of_the_campaign_file_and_no_hash_knows_of_it(copper, tmp_path):
    validation = "{held_out: {files: [held.jsonl]}, training: train.yaml}"
    said = load_campaign(copper.write_campaign(tmp_path, validation=validation))
    assert said.validation.training == str(tmp_path / "train.yaml")
    assert said.validation.held_out.files == (str(tmp_path / "held.jsonl"),)
    assert (
        load_campaign(copper.write_campaign(tmp_path, validation="{paid_core_hours: 2}")).validation.paid_core_hours
        == 2
    )
    assert said.content_hash == load_campaign(copper.write_campaign(tmp_path)).content_hash


def test_a_share_too_small_for_anything_is_refused(copper):
    singles = {"Cu": [copper.configuration({0: "Vac"}), copper.configuration({0: "Al"})]}
    with pytest.raises(InputError, match="fraction draws nothing"):
        split_configurations(singles, HeldOutSettings(fraction=0.5))
