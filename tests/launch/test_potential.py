from __future__ import annotations

import pytest
import torch

from definet_flows.definet import DefiNet, DefiNetConfig, ModelCard, save_checkpoint
from definet_flows.engines import ForceFieldEngine
from definet_flows.flows import load_campaign
from definet_flows.jobs.hosts import configuration_from
from definet_flows.launch.local import run_campaign
from definet_flows.records import open_store

pytest.importorskip("chgnet", reason="the embedded potential is an extra: pip install definet-flows[forcefield]")

CAMPAIGN = """
name: real
host: {preset: MoS2, supercell: [3, 3, 1], vacuum: 15}
configurations: {recipes: [V_S, Se_S]}
model: {checkpoint: tiny, device: cpu}
engine: {potential: CHGNet, force_threshold: 0.05}
"""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad")  # inside CHGNet
def test_a_campaign_with_a_real_potential(tmp_path):
    torch.manual_seed(0)
    network = DefiNet(DefiNetConfig(features=8, n_layers=2, n_radial=8))
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith(("lin_vec2coord.weight", "coord_mlp.2.weight")):
                parameter.mul_(0.05)  # small displacements, which the guard lets through
    card = ModelCard(name="tiny", hosts=("MoS2",), elements=("Mo", "S"), teacher="none", max_displacement_trained=0.5)
    save_checkpoint(tmp_path / "tiny", network, card)
    (tmp_path / "real.yaml").write_text(CAMPAIGN)
    summary = run_campaign(load_campaign(tmp_path / "real.yaml"), tmp_path / "run", 2)

    # The vacancy from both starts; selenium, which the network does not know, once; the pristine supercell.
    assert (summary.n_relaxations, summary.converged, summary.n_fallbacks) == (4, 4, 1)
    assert sorted((one.label, one.fallback) for one in summary.savings) == [("Se_S", True), ("V_S", False)]
    with open_store(tmp_path / "run", read_only=True) as store:
        runs = {(record.label, record.start): record for record in store.relaxations()}
        host = store.host(runs["pristine", "unrelaxed"].host.fingerprint)
    assert host.reference is not None
    assert runs["pristine", "unrelaxed"].ionic_steps == 1  # the host was relaxed first
    alone = ForceFieldEngine(potential="CHGNet", force_threshold=0.05).relax(configuration_from([[9, "Vac"]], host))
    record = runs["V_S", "unrelaxed"]
    assert record.defects == [(9, "Vac")]
    assert record.ionic_steps == alone.ionic_steps > 3
    assert record.energy == pytest.approx(alone.energy, abs=1e-5)
    assert record.engine.version.startswith("chgnet")
