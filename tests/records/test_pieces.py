from __future__ import annotations

import bson
import pytest

from definet_flows.records import StoreContentError, open_store
from definet_flows.records.pieces import PIECE, cut

MEGABYTE = 2**20


@pytest.fixture
def campaign(copper):
    """The plan of 60,000 configurations."""
    planned = [f"{number:016x}" for number in range(60_000)]
    return copper.campaign_record("large", configuration_ids=planned, baseline_ids=planned[: PIECE + 1])


@pytest.mark.parametrize("kind", ["embedded", "database"])
def test_a_long_campaign_comes_back_whole(kind, campaign, tmp_path, request):
    place = request.getfixturevalue("mongo_address") if kind == "database" else tmp_path
    with open_store(place) as store:
        store.put_campaign(campaign)
        store.put_campaign(campaign)
        assert store.campaigns() == [campaign]
        assert store.stores["arrays"].count() == 3
        assert len(bson.encode(store.stores["campaigns"].query_one({}))) < MEGABYTE
        assert max(len(bson.encode(piece)) for piece in store.stores["arrays"].query({})) < 2 * MEGABYTE
        store.stores["arrays"].remove_docs({"key": cut(campaign.model_dump(mode="json"))[1][0]["key"]})
        with pytest.raises(StoreContentError, match="1 of 2 pieces of the configuration_ids of document k are missing"):
            store.campaigns()


def test_a_short_document_stays_in_one_piece():
    document = {"key": "k", "configuration_ids": ["a"] * PIECE}
    assert cut(document) == (document, [])
