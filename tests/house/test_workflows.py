"""Every campaign file that ships can be read, and says what the database it follows says."""

from __future__ import annotations

import json

import pytest

from definet_flows.defects import HOST_PRESETS, count_configurations, high_density, low_density_recipes
from definet_flows.defects.host import content_hash
from definet_flows.definet import load_checkpoint
from definet_flows.flows import load_campaign, load_campaigns
from definet_flows.launch.validation import split_of
from definet_flows.settings import settings, workflows_directory

FILES = sorted(workflows_directory().glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_campaign_is_named_after_its_file(path):
    campaigns = load_campaigns(path)
    campaign = campaigns[0]
    assert {one.title for one in campaigns} == {path.stem}
    named = [engine for engine in ("vasp", "gpaw") if engine in path.stem.split("-")]
    assert campaign.engine.name == (named or ["forcefield"])[0]
    assert campaign.engine.force_threshold == 0.01


def test_the_screening_of_two_hosts_takes_a_part_of_each_with_what_fits_it():
    campaigns = load_campaigns(workflows_directory() / "screening-tmd.yaml")
    assert [one.name for one in campaigns] == ["screening-tmd/MoS2-8x8x1", "screening-tmd/WSe2-8x8x1"]
    assert [one.model.checkpoint for one in campaigns] == ["definet-tmd-chgnet"] * 2
    for one in campaigns:
        host = one.host.host()
        assert host.vacuum >= 15 - 1e-6
        few = one.configurations.model_copy(update={"max_distance": 4.0, "select": None}).configurations(host)
        assert len({configuration.label for configuration in few}) == 17
        assert one.configurations.select.count == 200


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_campaign_names_a_checkpoint_that_was_trained_on_its_crystal(path):
    for campaign in load_campaigns(path):
        if campaign.model is not None:
            assert campaign.host.host().crystal in load_checkpoint(campaign.model.checkpoint).card.crystals


def test_the_demonstration_is_small_new_and_measured():
    demo = load_campaign(workflows_directory() / "demo.yaml")
    assert demo.host.host().supercell_matrix == ((6, 0, 0), (0, 6, 0), (0, 0, 1))
    assert 20 <= demo.configurations.select.count <= 30
    assert demo.configurations.select.min_new_clusters >= 8
    assert demo.baseline_fraction == 1
    assert demo.model.checkpoint == settings().checkpoint


@pytest.mark.parametrize("name", ["MoS2", "WSe2"])
def test_low_density_is_the_whole_section(name):
    campaign = load_campaign(workflows_directory() / f"low-density-{name.lower()}.yaml")
    host = campaign.host.host()
    assert host.vacuum >= 15 - 1e-6
    assert campaign.configurations.preset == "low-density"
    assert sum(count_configurations(host, recipe) for recipe in low_density_recipes(name)) == 5933


@pytest.mark.parametrize("name", HOST_PRESETS)
def test_high_density_uses_cells_of_20_angstrom_and_500_configurations(name):
    campaign = load_campaign(workflows_directory() / f"high-density-{name.lower()}.yaml")
    host = campaign.host.host()
    assert host.unit_cell.lattice.c == pytest.approx(20.0, abs=1e-5)
    size = HOST_PRESETS[name].supercell
    assert tuple(row[axis] for axis, row in enumerate(host.supercell_matrix)) == size
    section = high_density(name)
    assert len(section.concentrations) * section.per_concentration == 500
    first = campaign.configurations.model_copy(update={"random": None}).configurations(host)
    assert len(first) == 500
    assert len({configuration.id for configuration in first}) == 500


def test_the_split_of_hbn_is_the_one_that_was_drawn():
    campaigns = load_campaigns(workflows_directory() / "hbn-gpaw.yaml")
    split = json.loads((workflows_directory() / "hbn-gpaw" / "split.json").read_text(encoding="utf-8"))
    drawn = {name: split[name] for name in ("train-3x3", "held-out-3x3", "held-out-4x4")}
    assert (split["hash"], [len(ids) for ids in drawn.values()]) == (content_hash(drawn), [20, 10, 4])
    fixed = split_of(campaigns)
    assert fixed.ids(fixed.training) == set(drawn["train-3x3"])
    assert fixed.ids(fixed.held_out) == set(drawn["held-out-3x3"]) | set(drawn["held-out-4x4"])
    smaller, larger = (campaign.name for campaign in campaigns)
    seen = {cluster for one in fixed.training[smaller] for cluster in one.possible_cluster_ids}
    assert not {one.cluster_id for one in fixed.held_out[larger]} & (seen | {None})
