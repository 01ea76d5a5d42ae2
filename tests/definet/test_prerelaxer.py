from __future__ import annotations

import itertools
import logging

import numpy as np
import pytest
import torch

from definet_flows.defects import DefectConfiguration, enumerate_configurations
from definet_flows.definet import Checkpoint, DefiNet, GuardSettings, HostGraph, Prerelaxer, save_checkpoint
from definet_flows.definet.inference import forward
from definet_flows.definet.inference.kernels import load_kernels
from definet_flows.definet.prerelaxer import is_out_of_memory
from definet_flows.errors import BrokenDeviceError, InputError


@pytest.fixture
def host(make_host):
    return make_host("MoS2", 4)


@pytest.fixture
def configurations(host, draw_configurations):
    return draw_configurations(host, 7)


@pytest.fixture
def checkpoint(configurations, make_network, card):
    network = make_network(configurations, features=8, n_radial=16, n_layers=2, largest=0.2).float()
    return Checkpoint(network, network.config, card, "0" * 16)


@pytest.fixture
def failing(monkeypatch):
    """Make the network raise or answer NaN for chosen configurations or batch sizes."""
    original = DefiNet.displacements

    def install(rule):
        def displacements(self, numbers, markers, graph, start=None):
            out = original(self, numbers, markers, graph, start)
            return rule(markers, out)

        monkeypatch.setattr(DefiNet, "displacements", displacements)

    return install


def positions(predictions):
    return np.stack([prediction.positions for prediction in predictions])


def test_predictions_are_the_networks_displacements_centred(checkpoint, configurations, host, predict):
    predictions = list(Prerelaxer(checkpoint, "cpu").predict(configurations))
    assert [prediction.configuration for prediction in predictions] == configurations
    raw = predict(checkpoint.model, configurations, HostGraph.build(host).to(dtype=torch.float32)).double().numpy()
    for prediction, displacements in zip(predictions, raw, strict=True):
        occupied = prediction.configuration.occupied
        moved = prediction.positions - host.positions
        assert prediction.positions.dtype == np.float64
        assert np.abs(moved[occupied].mean(axis=0)).max() < 1e-12
        assert not moved[~occupied].any()
        assert np.allclose(moved[occupied], (displacements - displacements[occupied].mean(axis=0))[occupied], atol=1e-7)
        assert prediction.verdict.passed
        assert prediction.verdict.max_displacement == pytest.approx(np.linalg.norm(moved, axis=1).max())
        assert prediction.seconds > 0


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7, 50, "auto"])
def test_the_batch_size_changes_nothing(checkpoint, configurations, batch_size):
    expected = positions(Prerelaxer(checkpoint, "cpu", 1, dtype=torch.float64).predict(configurations))
    found = positions(Prerelaxer(checkpoint, "cpu", batch_size, dtype=torch.float64).predict(configurations))
    assert np.abs(found - expected).max() < 1e-12


def test_the_same_call_gives_the_same_bits(checkpoint, configurations):
    first = positions(Prerelaxer(checkpoint, "cpu").predict(configurations))
    torch.manual_seed(99)
    assert np.array_equal(first, positions(Prerelaxer(checkpoint, "cpu").predict(iter(configurations))))


def test_predicting_leaves_the_callers_random_numbers_alone(checkpoint, configurations):
    torch.manual_seed(7)
    list(Prerelaxer(checkpoint, "cpu").predict(configurations))
    found = torch.rand(3)
    torch.manual_seed(7)
    assert torch.equal(found, torch.rand(3))


def test_another_precision_leaves_the_checkpoint_as_it_was(checkpoint, configurations):
    single = positions(Prerelaxer(checkpoint, "cpu").predict(configurations))
    double = positions(Prerelaxer(checkpoint, "cpu", dtype=torch.float64).predict(configurations))
    assert checkpoint.model.lin_comb.weight.dtype == torch.float32
    assert 0 < np.abs(single - double).max() < 1e-5


def test_the_stream_is_read_one_batch_ahead_at_most(checkpoint, configurations):
    read = []

    def endless():
        for configuration in itertools.cycle(configurations):
            read.append(configuration)
            yield configuration

    predictions = Prerelaxer(checkpoint, "cpu", 2).predict(endless())
    for count in range(1, 8):
        next(predictions)
        assert len(read) <= count + 1


def test_nothing_in_nothing_out(checkpoint):
    assert list(Prerelaxer(checkpoint, "cpu").predict([])) == []


def test_an_enumeration_streams_through(checkpoint, host):
    stream = enumerate_configurations(host, "V_S+V_S")
    assert sum(prediction.verdict.passed for prediction in Prerelaxer(checkpoint, "cpu").predict(stream)) > 5


def test_configurations_of_two_hosts_are_refused(checkpoint, configurations, make_host, draw_configurations):
    mixed = [*configurations, *draw_configurations(make_host("MoS2", 3), 1)]
    with pytest.raises(InputError, match="several hosts"):
        list(Prerelaxer(checkpoint, "cpu").predict(mixed))


def test_a_checkpoint_is_loaded_by_path(tmp_path, checkpoint, configurations):
    save_checkpoint(tmp_path / "net", checkpoint.model, checkpoint.card)
    found = positions(Prerelaxer(tmp_path / "net", "cpu").predict(configurations))
    assert np.array_equal(found, positions(Prerelaxer(checkpoint, "cpu").predict(configurations)))


def test_running_out_of_memory_halves_the_batch_for_good(checkpoint, configurations, failing, caplog):
    expected = positions(Prerelaxer(checkpoint, "cpu").predict(configurations))
    sizes = []

    def at_most_two(markers, out):
        sizes.append(len(markers))
        if len(markers) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return out

    failing(at_most_two)
    with caplog.at_level(logging.WARNING):
        predictions = list(Prerelaxer(checkpoint, "cpu", 4).predict(configurations))
    assert np.allclose(positions(predictions), expected, atol=1e-6)
    assert all(prediction.verdict.passed for prediction in predictions)
    assert sizes == [4, 2, 2, 2, 1]
    assert "out of memory with 4 structures at once, going on with 2" in caplog.text


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes. Error code 12"),
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory."),
    ],
)
def test_every_way_to_run_out_of_memory_is_known(error):
    assert is_out_of_memory(error)
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


@pytest.mark.parametrize(
    "error", [RuntimeError("kernel fell over\nstack"), IndexError("kernel fell over"), MemoryError()]
)
def test_the_one_structure_that_fails_is_isolated(checkpoint, configurations, failing, error):
    expected = positions(Prerelaxer(checkpoint, "cpu").predict(configurations))
    culprit = torch.from_numpy(configurations[3].markers)

    def unlike_the_others(markers, out):
        if (markers == culprit).all(dim=1).any():
            raise error
        return out

    failing(unlike_the_others)
    predictions = list(Prerelaxer(checkpoint, "cpu", 5).predict(configurations))
    failed = predictions.pop(3)
    assert failed.positions is None
    assert failed.configuration == configurations[3]
    assert not failed.verdict.passed
    assert failed.verdict.max_displacement is None
    assert (
        "kernel fell over" in failed.verdict.reasons[0] or "does not fit into the memory" in failed.verdict.reasons[0]
    )
    assert "\n" not in failed.verdict.reasons[0]
    assert np.allclose(positions(predictions), np.delete(expected, 3, axis=0), atol=1e-6)


def test_a_broken_gpu_is_told_and_not_blamed_on_the_others(checkpoint, configurations, failing):
    def broken(markers, out):
        raise RuntimeError("CUDA error: device-side assert triggered\nmore of it")

    failing(broken)
    with pytest.raises(
        BrokenDeviceError, match=r"broke the GPU at one of 7 structures \(CUDA error: device-side assert"
    ):
        list(Prerelaxer(checkpoint, "cpu").predict(configurations))


@pytest.mark.parametrize("guard", [GuardSettings(), None])
def test_an_answer_that_is_no_number_is_no_prediction(checkpoint, configurations, failing, guard):
    def third_is_nan(markers, out):
        out = out.clone()
        out[2, 5, 1] = float("nan")
        return out

    failing(third_is_nan)
    predictions = list(Prerelaxer(checkpoint, "cpu", 7, guard).predict(configurations))
    assert [prediction.verdict.passed for prediction in predictions] == [True, True, False, True, True, True, True]
    assert predictions[2].positions is None
    assert predictions[2].verdict.reasons == ("the predicted coordinates are not finite",)


def test_an_unknown_element_falls_back_and_says_so(checkpoint, host):
    (prediction,) = Prerelaxer(checkpoint, "cpu").predict([DefectConfiguration.create(host, {0: "Cr"})])
    assert not prediction.verdict.passed
    assert "not trained on Cr" in prediction.verdict.reasons[0]


def test_an_element_without_an_embedding_does_not_stop_the_others(host, card, make_network):
    known, unknown = (DefectConfiguration.create(host, {0: species}) for species in ("Nb", "W"))
    network = make_network([known], features=8, n_radial=16, n_layers=1, n_elements=60).float()
    checkpoint = Checkpoint(network, network.config, card, "0" * 16)
    first, second = Prerelaxer(checkpoint, "cpu").predict([known, unknown])
    assert first.positions is not None
    assert second.positions is None
    assert second.verdict.reasons == ("checkpoint testnet has no embedding for one of its elements",)


def test_without_a_guard_anything_finite_passes(checkpoint, host):
    (prediction,) = Prerelaxer(checkpoint, "cpu", guard=None).predict([DefectConfiguration.create(host, {0: "Cr"})])
    assert prediction.verdict.passed
    assert prediction.verdict.max_displacement > 0


def test_a_guard_setting_reaches_the_guard(checkpoint, configurations):
    strict = GuardSettings(displacement_factor=1e-6)
    for prediction in Prerelaxer(checkpoint, "cpu", guard=strict).predict(configurations):
        assert not prediction.verdict.passed
        assert prediction.positions is not None


def test_exposure_tells_placement_from_cluster_from_nothing(make_host, card):
    small, large = (DefectConfiguration.create(make_host("MoS2", size), {0: "W", 1: "W"}) for size in (5, 6))
    assert small.cluster_id == large.cluster_id is not None
    seen = card.model_copy(update={"cluster_ids": {small.cluster_id}, "configuration_ids": {small.id}})
    other = DefectConfiguration.create(make_host("MoS2", 6), {0: "W", 2: "W"})
    assert [seen.exposure(c) for c in (small, large, other)] == ["same_size", "other_size", "new"]
    by_placement = card.model_copy(update={"configuration_ids": {small.placement_id}})
    assert by_placement.exposure(small) == "same_size"


def test_an_ambiguous_cluster_is_undefined_unless_its_placement_was_seen(make_host, card):
    tiny = DefectConfiguration.create(make_host("MoS2", 2), {0: "W", 1: "W"})
    assert tiny.cluster_id is None
    assert card.exposure(tiny) == "undefined"
    assert card.model_copy(update={"configuration_ids": {tiny.id}}).exposure(tiny) == "same_size"


@pytest.fixture
def wide(make_network, configurations, card):
    """A checkpoint that has a fast route."""
    network = make_network(configurations, features=16, n_radial=16, n_layers=2, largest=0.2).float()
    return Checkpoint(network, network.config, card, "0" * 16)


@pytest.fixture
def plain_calls(monkeypatch):
    """Sizes of the batches that the plain network has seen."""
    sizes, original = [], DefiNet.displacements

    def displacements(self, numbers, markers, graph, start=None):
        sizes.append(len(markers))
        return original(self, numbers, markers, graph, start)

    monkeypatch.setattr(DefiNet, "displacements", displacements)
    return sizes


@pytest.mark.parametrize("batch_size", [3, 20, "auto"])
def test_many_structures_take_the_fast_route_to_the_same_coordinates(wide, host, draw_configurations, batch_size):
    many = draw_configurations(host, 20, seed=3)
    plain = positions(Prerelaxer(wide, "cpu", batch_size, fast=False).predict(many))
    assert np.abs(positions(Prerelaxer(wide, "cpu", batch_size).predict(many)) - plain).max() < 1e-5


def test_few_structures_are_not_worth_preparing_for(wide, host, draw_configurations, plain_calls):
    if load_kernels() is None:
        pytest.skip("no C++ compiler here")
    many = draw_configurations(host, 20, seed=3)
    list(Prerelaxer(wide, "cpu", 4).predict(many[:8]))
    assert plain_calls == [4, 4]
    plain_calls.clear()
    list(Prerelaxer(wide, "cpu", 4).predict(many))
    assert plain_calls == [4, 4]


def test_without_kernels_the_plain_network_goes_on(wide, host, draw_configurations, plain_calls, monkeypatch):
    monkeypatch.setattr(forward, "load_kernels", lambda: None)
    list(Prerelaxer(wide, "cpu", 10).predict(draw_configurations(host, 20, seed=3)))
    assert plain_calls == [10, 10]


@pytest.mark.parametrize("count", [4, 12])
def test_half_precision_is_close_on_either_route(host, draw_configurations, count):
    configurations = draw_configurations(host, count)
    single = positions(Prerelaxer("definet-mos2-chgnet", "cpu", guard=None).predict(configurations))
    half = Prerelaxer("definet-mos2-chgnet", "cpu", guard=None, dtype=torch.bfloat16)
    assert half.checkpoint.model.lin_comb.weight.dtype == torch.float32
    assert 1e-5 < np.abs(positions(half.predict(configurations)) - single).max() < 0.1


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")
def test_a_cuda_device_that_is_absent_is_refused(checkpoint):
    with pytest.raises(InputError, match="torch sees no CUDA device here; use auto or cpu"):
        Prerelaxer(checkpoint, "cuda")
    assert Prerelaxer(checkpoint, "auto").device.type == "cpu"


@pytest.mark.parametrize("device", ["gpu", "", "meta", "cuda:x"])
def test_a_device_that_is_none_is_refused(checkpoint, device):
    with pytest.raises(InputError, match="is not a device; use auto, cpu, cuda or cuda:N"):
        Prerelaxer(checkpoint, device)


@pytest.mark.parametrize("batch_size", [0, -1, 2.0, True, "all"])
def test_a_batch_size_that_is_none_is_refused(checkpoint, batch_size):
    with pytest.raises(InputError, match="batch size must be 'auto' or a whole number"):
        Prerelaxer(checkpoint, "cpu", batch_size)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_both_devices_agree(checkpoint, configurations):
    on_gpu = positions(Prerelaxer(checkpoint, "cuda").predict(configurations))
    on_cpu = positions(Prerelaxer(checkpoint, "cpu").predict(configurations))
    assert np.abs(on_gpu - on_cpu).max() < 1e-5
    assert np.array_equal(on_gpu, positions(Prerelaxer(checkpoint, "cuda").predict(configurations)))
