from __future__ import annotations

import pytest

from definet_flows.analysis.figures import atoms_table
from definet_flows.analysis.results import campaign_results
from definet_flows.records import open_store
from tests import copper
from tests.records.query.conftest import fill, relaxations_and_predictions

NAMES = ["steps", "supercells", "core-hours", "savings", "parity", "shells", "formation"]


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    fill(folder, *relaxations_and_predictions())
    return folder


@pytest.fixture(scope="module")
def elements(tmp_path_factory):
    file = tmp_path_factory.mktemp("elements") / "elements.yaml"
    file.write_text(
        f"physics_hash: {copper.ENGINE.physics_hash}\nelements: {{Cu: -3.1, Al: -3.3, Ni: -4.4, V: -5.0}}\n"
    )
    return file


def test_every_figure_is_drawn_where_none_is_chosen(invoke, directory, elements, tmp_path):
    options = ("--campaign", "copper", "-o", tmp_path / "new", "--format", "svg", "--elements", elements)
    reply = invoke("figures", directory, *options, "--training-core-hours", "3")
    assert reply.exit_code == 0, reply.stderr
    assert reply.stdout.splitlines() == [f"{name}: {tmp_path / 'new' / name}.svg" for name in NAMES]
    assert sorted(path.stem for path in (tmp_path / "new").iterdir()) == sorted(NAMES)
    assert "refused by the guard" in (tmp_path / "new" / "savings.svg").read_text()


def test_what_cannot_be_drawn_is_named_unless_it_was_asked_for(invoke, directory, tmp_path):
    options = ("--campaign", "wide", "-o", tmp_path)
    reply = invoke("figures", directory, *options)
    assert reply.exit_code == 0
    assert "formation: not drawn. No formation energy is known" in reply.stdout
    assert len(list(tmp_path.glob("*.png"))) == 6
    reply = invoke("figures", directory, *options, "--formation")
    assert reply.exit_code == 2
    assert "No formation energy is known; relax the elements first" in " ".join(reply.stderr.split())


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ([], "holds several campaigns; give one as --campaign"),
        (["--campaign", "none"], "holds no campaign none"),
        (["--campaign", "copper", "-o", "/proc/none"], "The folder /proc/none cannot be made"),
        (["--campaign", "copper", "--elements", "/proc/none.yaml", "--formation"], "There is no table of elements"),
    ],
    ids=str,
)
def test_bad_input_is_one_sentence(invoke, directory, tmp_path, options, complaint):
    reply = invoke("figures", directory, *(options if "-o" in options else [*options, "-o", tmp_path]))
    assert reply.exit_code == 2
    assert complaint in " ".join(reply.stderr.split())


def test_displacements_are_those_of_the_records(directory):
    with open_store(directory, read_only=True) as store:
        table = atoms_table([(store, campaign_results(store, "copper"))])
    moved = table[[name for name in table if name.startswith(("relaxed_", "predicted_"))]]
    assert (moved.abs() < 1e-9).all().all()
    assert set(table["label"]) == {"V_Cu+Al_Cu", "V_Cu+V_Cu", "Vanadium_Cu"}
    assert set(table.loc[table["other_minimum"], "label"]) == {"V_Cu+Al_Cu"}
    assert len(table) == 31 + 2 * 30 + 32
    assert table.attrs["left_out"] == {"refused by the guard": 1}
