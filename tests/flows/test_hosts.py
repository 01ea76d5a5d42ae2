from __future__ import annotations

import pytest

from definet_flows.errors import InputError
from definet_flows.flows import Campaign, load_campaign, load_campaigns
from definet_flows.flows.hosts import naming
from definet_flows.flows.plan import campaign_record, pristine_run

SEVERAL = """
name: tmd
hosts:
  - preset: MoS2
  - preset: WSe2
    supercell: [6, 6, 1]
    configurations: {recipes: [V_Se]}
    model: null
  - {file: cells/hBN.cif, supercell: [[2, 1, 0], [-1, 2, 0], [0, 0, 1]], name: hBN-rotated}
configurations: {recipes: [V_S]}
model: {checkpoint: tiny}
resources: {max_active: 7}
"""


@pytest.fixture
def write(tmp_path):
    def put(text):
        path = tmp_path / "tmd.yaml"
        path.write_text(text)
        return path

    return put


def test_each_host_is_a_campaign_with_what_it_says_and_what_all_say(write, tmp_path):
    mos2, wse2, hbn = load_campaigns(write(SEVERAL))
    assert [one.name for one in (mos2, wse2, hbn)] == ["tmd/MoS2-8x8x1", "tmd/WSe2-6x6x1", "tmd/hBN-rotated"]
    assert {(one.screening, one.title, one.resources.max_active) for one in (mos2, wse2, hbn)} == {("tmd", "tmd", 7)}
    assert (mos2.configurations.recipes, mos2.model.checkpoint) == (("V_S",), "tiny")
    assert (wse2.configurations.recipes, wse2.model) == (("V_Se",), None)
    assert hbn.host.file == str(tmp_path / "cells" / "hBN.cif")
    assert hbn.host.supercell == ((2, 1, 0), (-1, 2, 0), (0, 0, 1))
    assert Campaign.model_validate(mos2.settings) == mos2.model_copy(
        update={"resources": Campaign.model_fields["resources"].get_default(call_default_factory=True)}
    )


def test_another_host_changes_nothing_for_those_that_were_there(write):
    before = load_campaigns(write(SEVERAL))
    after = load_campaigns(
        write(SEVERAL.replace("hosts:\n", "hosts:\n  - {preset: GaSe, configurations: {recipes: [V_S]}}\n"))
    )
    assert len(after) == 4
    assert [(one.name, one.content_hash) for one in after[1:]] == [(one.name, one.content_hash) for one in before]


def test_a_file_with_one_host_is_known_by_what_it_always_was(write):
    """Hashes and keys as version 0.1 wrote them: what was paid for is found again."""
    one = load_campaign(write("name: one\nhost: {preset: MoS2}\nconfigurations: {recipes: [V_S]}\n"))
    host = one.host.host()
    assert (one.name, one.title) == ("one", "one")
    assert one.settings.keys().isdisjoint({"charges", "screening"})
    assert one.content_hash == "5c30919784cc035aa78712cb07c20723"
    assert campaign_record(one, host, None).key == "eea1aec102a5c6f396831e351990c012"
    assert pristine_run(one, host).key == "529c51d69b7fb79388812c7b1268d97f"


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        (
            "preset: WSe2",
            "prset: WSe2",
            r"'hosts\[1\]' has no key 'prset'; did you mean 'preset'\? the keys are configur",
        ),
        ("recipes: [V_Se]", "recipe: [V_Se]", r"'hosts\[1\].configurations' has no key 'recipe'"),
        ("name: hBN-rotated", "name: a/b", r"'hosts\[2\].name' is 'a/b'"),
        (
            "preset: WSe2\n    supercell: [6, 6, 1]",
            "preset: MoS2",
            "2 of the hosts are called MoS2-8x8x1; give each a name",
        ),
        (
            "configurations: {recipes: [V_S]}\n",
            "",
            "configurations are missing, for all hosts or for MoS2-8x8x1, hBN-rot",
        ),
        ("name: tmd\n", "name: tmd\nhost: {preset: MoS2}\n", "'host' and 'hosts' exclude each other"),
        (
            "name: tmd\n",
            "name: tmd\nscreening: x\n",
            "there is no key 'screening'; the keys are baseline_fraction, .*, hosts, m",
        ),
        (
            SEVERAL,
            "name: x\nhosts: []\nconfigurations: {recipes: [V_S]}\n",
            r"'hosts' is \[\]: list should have at least 1",
        ),
        (
            SEVERAL,
            "name: x\nhosts: [MoS2]\nconfigurations: {recipes: [V_S]}\n",
            r"'hosts\[0\]' is 'MoS2': input should be",
        ),
    ],
)
def test_what_is_wrong_with_a_host_is_one_sentence_with_its_place(write, before, after, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        load_campaigns(write(SEVERAL.replace(before, after)))
    assert "\n" not in str(caught.value)


def test_where_one_host_is_needed_several_are_refused(write):
    with pytest.raises(InputError, match=r"has several hosts \(tmd/MoS2-8x8x1, tmd/WSe2-6x6x1, tmd/hBN-rotated\)"):
        load_campaign(write(SEVERAL))


def test_an_error_names_the_host_it_is_about(write, copper, tmp_path):
    for one in load_campaigns(write(SEVERAL)):
        with pytest.raises(InputError, match=f"^{one.name}: wrong$"), naming(one):
            raise InputError("wrong")
    alone = load_campaign(copper.write_campaign(tmp_path))
    with pytest.raises(InputError, match=r"^wrong$"), naming(alone):
        raise InputError("wrong")


VASP = "name: q\nhost: {preset: MoS2}\nconfigurations: {recipes: [V_S]}\nengine: {name: vasp}\n"


def test_charges_are_part_of_what_a_campaign_is_known_by(write):
    charged, neutral = load_campaign(write(VASP + "charges: [-1, 0]\n")), load_campaign(write(VASP))
    assert (charged.charges, neutral.charges) == ((-1, 0), (0,))
    assert charged.settings["charges"] == [-1, 0]
    assert charged.content_hash != neutral.content_hash
    assert load_campaign(write(VASP + "charges: [0]\n")).content_hash == neutral.content_hash


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (VASP + "charges: []\n", r"charges are \[\]; list each once, such as"),
        (VASP + "charges: [0, 1, 0]\n", r"charges are \[0, 1, 0\]; list each once"),
        (VASP + "charges: [0.5]\n", r"'charges\.0' is 0\.5: input should be a valid integer"),
        (VASP + "charges: [true]\n", r"'charges\.0' is True: input should be a valid integer"),
        (VASP + "charges: -1\n", r"'charges' is -1: input should be a valid list"),
        (VASP.replace("vasp", "forcefield") + "charges: [1]\n", r"charges other than \[0\] need engine: {name: vasp}"),
        (
            VASP.replace("vasp}", "vasp, dipole: true}") + "charges: [0, 1]\n",
            "dipole correction is not defined for charged",
        ),
    ],
)
def test_charges_that_cannot_be_had_are_refused(write, text, sentence):
    with pytest.raises(InputError, match=sentence):
        load_campaign(write(text))
