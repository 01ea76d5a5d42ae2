"""Importing the authors' weights: the plain second implementation stands for their forward pass."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from definet_flows.definet import CheckpointError, DefiNet, DefiNetConfig, HostGraph, load_checkpoint
from definet_flows.definet.importing import import_state_dict

PUBLISHED = DefiNetConfig(features=16, n_layers=3, n_radial=128, radial_cutoff=30.0)


@pytest.fixture
def weights():
    torch.manual_seed(5)
    return {name: tensor.clone() for name, tensor in DefiNet(PUBLISHED).state_dict().items()}


@pytest.fixture
def save(tmp_path):
    def write(content):
        torch.save(content, tmp_path / "model.pt")
        return tmp_path / "model.pt"

    return write


def test_the_imported_model_repeats_the_published_forward_pass(
    tmp_path, save, weights, make_host, draw_configurations, oracle
):
    weights["coord_update_layers.0.lin_vec2coord.weight"] *= 20  # displacements of some tenths of an Å
    import_state_dict(save(weights), tmp_path / "theirs")
    imported = load_checkpoint(tmp_path / "theirs")
    assert imported.config == PUBLISHED
    host = make_host("MoS2")
    graph = HostGraph.build(host, 6.0, 50)
    for configuration in draw_configurations(host, 3):
        numbers, markers = torch.tensor(configuration.atomic_numbers), torch.tensor(configuration.markers)
        with torch.no_grad():
            ours = imported.model(numbers[None], markers[None], graph.positions, graph)[0].numpy()
        theirs = oracle.relaxed_positions(
            weights, PUBLISHED, configuration.atomic_numbers, configuration.markers, host.positions, host.lattice
        )
        assert np.abs(theirs.detach().numpy() - host.positions).max() > 1e-3
        np.testing.assert_allclose(ours, theirs.detach().numpy(), atol=1e-5)


def test_cutoffs_are_written_down_because_they_do_not_follow_from_the_shapes(tmp_path, save, weights):
    import_state_dict(save(weights), tmp_path / "a", radial_cutoff=20.0, graph_radius=5.0, max_neighbours=40)
    config = load_checkpoint(tmp_path / "a").config
    assert (config.radial_cutoff, config.graph_radius, config.max_neighbours) == (20.0, 5.0, 40)


def test_the_card_does_not_give_away_weights_of_others(tmp_path, save, weights):
    import_state_dict(save(weights), tmp_path / "a")
    assert load_checkpoint(tmp_path / "a").card.licence == "that of the imported weights"


def test_a_full_state_dict_may_hold_the_gaussian_centres(tmp_path, save, weights):
    import_state_dict(save(weights | {"radial_basis.rbf.offset": torch.linspace(0, 1, 128)}), tmp_path / "a")
    with pytest.raises(CheckpointError, match="evenly spaced"):
        import_state_dict(save(weights | {"radial_basis.rbf.offset": torch.linspace(0, 2, 128)}), tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_names_that_do_not_fit_are_named(tmp_path, save, weights):
    without = {name: tensor for name, tensor in weights.items() if name != "vn_emb.weight"}
    with pytest.raises(CheckpointError, match=r"missing: vn_emb\.weight"):
        import_state_dict(save(without), tmp_path / "a")
    with pytest.raises(CheckpointError, match="unexpected: surplus"):
        import_state_dict(save(weights | {"surplus": torch.zeros(3)}), tmp_path / "a")
    with pytest.raises(CheckpointError, match=r"of another shape: lin_comb\.bias"):
        import_state_dict(save(weights | {"lin_comb.bias": torch.zeros(3)}), tmp_path / "a")
    with pytest.raises(CheckpointError, match=r"not the weights of a DefiNet.*atom_emb"):
        import_state_dict(save({"something": torch.zeros(3)}), tmp_path / "a")


class _Harmful:
    def __reduce__(self):
        return (print, ("code from a pickle ran",))


def test_code_in_a_pickle_never_runs(tmp_path, save, capsys):
    with pytest.raises(CheckpointError, match="read safely"):
        import_state_dict(save({"lin_comb.bias": _Harmful()}), tmp_path / "a")
    assert "ran" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.zeros(2)], "holds a list"),
        ({}, "not a dict of parameter tensors"),
        ({"model": {"a": torch.zeros(2)}, "epoch": 3}, "model, epoch are not tensors"),
    ],
)
def test_other_contents_are_refused(tmp_path, save, content, message):
    with pytest.raises(CheckpointError, match=message):
        import_state_dict(save(content), tmp_path / "a")


def test_damaged_and_missing_files_are_refused(tmp_path, save, weights):
    file = save(weights)
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="read safely"):
        import_state_dict(file, tmp_path / "a")
    with pytest.raises(CheckpointError, match="no file"):
        import_state_dict(tmp_path / "absent.pt", tmp_path / "a")


def test_weights_that_are_not_finite_are_refused(tmp_path, save, weights):
    weights["lin_comb.bias"][0] = torch.nan
    with pytest.raises(CheckpointError, match="not finite"):
        import_state_dict(save(weights), tmp_path / "a")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"radial_cutoff": -1.0}, "radial_cutoff is -1.0"),
        ({"max_neighbours": 0}, "max_neighbours is 0"),
        ({"elements": ("Mo", "Xx")}, "Xx is not an element"),
        ({"elements": ()}, "not an element"),
    ],
)
def test_options_that_cannot_be_are_refused(tmp_path, save, weights, options, message):
    with pytest.raises(CheckpointError, match=message):
        import_state_dict(save(weights), tmp_path / "a", **options)
