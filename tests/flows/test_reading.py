from __future__ import annotations

from pathlib import Path

import pytest

from definet_flows.definet import GuardSettings
from definet_flows.errors import InputError
from definet_flows.flows import Campaign, load_campaign, load_campaigns
from definet_flows.settings import workflows_directory

MINIMAL = "name: demo\nhost: {preset: MoS2}\nconfigurations: {recipes: [V_S]}\n"


@pytest.fixture
def write(tmp_path):
    def put(text, name="campaign.yaml"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return put


@pytest.mark.parametrize("path", sorted(workflows_directory().glob("*.yaml")), ids=lambda path: path.stem)
def test_the_shipped_campaigns_can_be_read(path):
    campaigns = load_campaigns(path)
    assert min(one.host.host().n_sites for one in campaigns) >= 18


def test_what_is_left_out_has_a_default(write):
    campaign = load_campaign(write(MINIMAL))
    assert (campaign.model, campaign.baseline_fraction, campaign.engine.potential) == (None, 1.0, "CHGNet")
    assert load_campaign(write(MINIMAL + "model: {checkpoint: x}\n")).model.guard == GuardSettings()
    assert load_campaign(write(MINIMAL + "model: {checkpoint: x, guard: null}\n")).model.guard is None


def test_paths_are_relative_to_the_campaign_file(copper, tmp_path, monkeypatch):
    path = copper.write_campaign(tmp_path / "here", configurations="{files: [list.jsonl]}", model="{checkpoint: tiny}")
    monkeypatch.chdir("/")
    campaign = load_campaign(path)
    assert campaign.host.file == str(tmp_path / "here" / "Cu.cif")
    assert campaign.host.host().n_sites == 32
    assert campaign.configurations.files == (str(tmp_path / "here" / "list.jsonl"),)
    assert campaign.model.checkpoint == str(tmp_path / "here" / "tiny")
    named = copper.write_campaign(tmp_path / "here", model="{checkpoint: definet-mos2-chgnet}")
    assert load_campaign(named).model.checkpoint == "definet-mos2-chgnet"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty or not a mapping; it needs the keys name, host, configurations."),
        ("- a\n- b\n", "is empty or not a mapping"),
        ("name: [unclosed\n", "is not valid YAML: .* at line 2, column 1."),
        (MINIMAL + "name: again\n", "is not valid YAML: the key name is there twice at line 1, column 1."),
        (
            MINIMAL + "modle: {checkpoint: x}\n",
            "there is no key 'modle'; did you mean 'model'. the keys are baseline_frac",
        ),
        (MINIMAL + "engine: {optimiser: FIRE}\n", "'engine' has no key 'optimiser'; did you mean 'optimizer'"),
        (MINIMAL + "engine: {optimizer: bfgs}\n", "'engine.optimizer' is 'bfgs', which is not one of 'BFGS'.*'FIRE'"),
        (MINIMAL + "engine: {name: vsap}\n", "'engine.name' is 'vsap', which is not one of 'forcefield'"),
        (
            MINIMAL + "model: {checkpont: x}\n",
            "'model' has no key 'checkpont'; did you mean 'checkpoint'|'model.checkpoint' is missing",
        ),
        (MINIMAL + "baseline_fraction: 1.5\n", "'baseline_fraction' is 1.5: input should be less than or equal to 1."),
        (MINIMAL + "baseline_fraction: half\n", "'baseline_fraction' is 'half': input should be a valid number"),
        (
            MINIMAL + "model: {checkpoint: x, guard: {min_distance: 1}}\n",
            "'model.guard' has no key 'min_distance'; did you",
        ),
        ("name: demo\nhost: {preset: MoS2}\n", "'configurations' is missing; add it."),
        (MINIMAL.replace("recipes: [V_S]", "select: {count: 3}"), "'configurations': give recipes, a preset"),
        (
            MINIMAL.replace("recipes: [V_S]", "recipe: [V_S]"),
            "'configurations' has no key 'recipe'; did you mean 'recipes'",
        ),
        (
            MINIMAL.replace("recipes: [V_S]", "preset: low"),
            "'configurations.preset' is 'low', which is not one of 'low-den",
        ),
        (MINIMAL.replace("{preset: MoS2}", "{}"), "'host': give exactly one of preset, file and mp_id."),
        (
            MINIMAL.replace("preset: MoS2", "preset: MoS2, file: a"),
            "exactly one of preset, file and mp_id, not preset and fi",
        ),
        (MINIMAL.replace("preset: MoS2", "file: a.cif"), "'host': supercell is missing, for example"),
        (MINIMAL.replace("preset: MoS2", "preset: MoS2, supercell: [4, 4]"), "'host.supercell': write three whole num"),
        (
            MINIMAL.replace("preset: MoS2", "preset: MoS2, supercell: [4.5, 4, 1]"),
            "'host.supercell': write three whole",
        ),
        (
            MINIMAL.replace("preset: MoS2", "preset: MoS2, supercell: [[4, 0, 0], [0, 4], 1]"),
            "'host.supercell': write thre",
        ),
    ],
)
def test_what_is_wrong_is_one_sentence_with_the_file_and_the_field(write, text, sentence):
    path = write(text)
    with pytest.raises(InputError, match=sentence) as caught:
        load_campaign(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(InputError, match=r"There is no campaign file .*nowhere.yaml; check the path"):
        load_campaign(tmp_path / "nowhere.yaml")
    with pytest.raises(InputError, match=f"The campaign file {tmp_path} cannot be read"):
        load_campaign(tmp_path)
    Path(tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9\n")
    with pytest.raises(InputError, match=r"latin.yaml cannot be read"):
        load_campaign(tmp_path / "latin.yaml")


def test_a_host_that_cannot_be_built_is_refused(write):
    campaign = load_campaign(write(MINIMAL.replace("preset: MoS2", "preset: MoS3")))
    with pytest.raises(InputError, match="There is no host preset 'MoS3'"):
        campaign.host.host()


def test_settings_survive_json(write):
    campaign = load_campaign(write(MINIMAL + "model: {checkpoint: x}\n"))
    assert Campaign.model_validate(campaign.settings) == campaign
    assert campaign.content_hash == Campaign.model_validate(campaign.settings).content_hash
    edited = load_campaign(write(MINIMAL + "baseline_fraction: 0.5\n"))
    assert edited.content_hash != campaign.content_hash
