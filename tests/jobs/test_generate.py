from __future__ import annotations

import pytest
from pydantic import ValidationError

from definet_flows.defects import Host, count_configurations, low_density_recipes, write_configurations
from definet_flows.errors import InputError
from definet_flows.jobs import ConfigurationSource, GenerateMaker, RandomSampling, Selection


@pytest.fixture(scope="module")
def host():
    return Host.from_preset("MoS2", (4, 4, 1), vacuum=15)


def run(maker, host):
    return maker.make.original(maker, host.to_dict())


def test_recipes_are_enumerated_exhaustively_and_once(host):
    recipes = ("V_S", "V_Mo+V_S", "V_S+V_Mo", "V_S")
    found = ConfigurationSource(recipes=recipes).configurations(host)
    assert len(found) == len({one.id for one in found}) == sum(count_configurations(host, one) for one in recipes[:2])


def test_presets_name_recipes_and_random_placements(host):
    low = ConfigurationSource(preset="low-density").configurations(host)
    assert len(low) == sum(count_configurations(host, recipe) for recipe in low_density_recipes("MoS2"))
    sampling = RandomSampling(per_concentration=3, concentrations=(0.05,), seed=4)
    high = ConfigurationSource(preset="high-density", random=sampling).configurations(host)
    assert [one.n_defects for one in high] == [2, 2, 2]


def test_random_placements_of_ones_own(host):
    sampling = RandomSampling(substitutions={"S": ("Se",)}, concentrations=(0.0625,), per_concentration=2)
    found = ConfigurationSource(random=sampling).configurations(host)
    assert {one.label for one in found} == {"Se_S+Se_S+Se_S"}
    with pytest.raises(InputError, match="needs substitutions and concentrations, or preset: high-density"):
        ConfigurationSource(random=RandomSampling()).configurations(host)


def test_distances_limit_recipes(host):
    near = ConfigurationSource(recipes=("V_S+V_S",), max_distance=3.5).configurations(host)
    everything = ConfigurationSource(recipes=("V_S+V_S",)).configurations(host)
    assert 0 < len(near) < len(everything)
    with pytest.raises(InputError, match="its distance limits leave none"):
        ConfigurationSource(recipes=("V_S+V_S",), max_distance=0.5).configurations(host)


def test_files_list_configurations(host, tmp_path):
    listed = ConfigurationSource(recipes=("V_S+V_S",)).configurations(host)[1:3]
    file = str(write_configurations(listed, tmp_path / "two.jsonl"))
    assert ConfigurationSource(files=(file,)).configurations(host) == listed
    with pytest.raises(InputError, match=r"2 of the configurations in .*two.jsonl are in other supercells"):
        ConfigurationSource(files=(file,)).configurations(host.with_supercell((5, 5, 1)))


def test_nothing_to_generate_is_refused():
    with pytest.raises(ValidationError, match="give recipes, a preset"):
        ConfigurationSource()


def test_the_job_writes_what_changed_and_nothing_else(host):
    listed = run(GenerateMaker(ConfigurationSource(recipes=("V_S", "V_Mo+V_S"))), host)
    assert listed[0] == [[16, "Vac"]] or listed[0][0][1] == "Vac"
    assert {len(defects) for defects in listed} == {1, 2}


def test_new_clusters_are_those_the_checkpoint_has_not_seen(copper, tmp_path):
    host = copper.host((3, 3, 3))
    source = ConfigurationSource(recipes=("V_Cu+Al_Cu",))
    everything = source.configurations(host)
    defined = [one for one in everything if one.cluster_id is not None]
    seen, fresh = defined[:-2], defined[-2:]
    checkpoint = copper.write_checkpoint(tmp_path / "tiny", trained=seen)
    assert seen
    assert len(defined) < len(everything)
    for count in (2, 3):
        selection = Selection(count=count, min_new_clusters=2)
        chosen = source.model_copy(update={"select": selection})
        listed = run(GenerateMaker(chosen, str(checkpoint)), host)
        assert len(listed) == count
        assert all(one.content in listed for one in fresh)
    with pytest.raises(InputError, match="min_new_clusters needs a model"):
        run(GenerateMaker(chosen), host)
