from __future__ import annotations

import hashlib
from itertools import product

import pytest

from definet_flows.records.keys import prediction_key, relaxation_key, savings_key


def test_everything_that_decides_a_result_is_in_the_key():
    prerelaxed = [
        relaxation_key(identity, charge, "prerelaxed", physics, checkpoint, guard)
        for identity, charge, physics, checkpoint, guard in product("ab", (0, 1), "pq", "cd", "gh")
    ]
    unrelaxed = [
        relaxation_key(identity, charge, "unrelaxed", physics)
        for identity, charge, physics in product("ab", (0, 1), "pq")
    ]
    predictions = [prediction_key(*parts) for parts in product("ab", "cd", "gh", ("", "p"))]
    savings = [savings_key("a", 0, "p", "c", "g")]
    keys = prerelaxed + unrelaxed + predictions + savings
    assert len(set(keys)) == len(keys) == 32 + 8 + 16 + 1
    assert all(len(key) == 32 and int(key, 16) >= 0 for key in keys)


def test_a_key_is_the_same_on_every_machine():
    content = b'["relaxation","4cf49a22c6a0d72f",0,"unrelaxed","ab",null,null]'
    assert relaxation_key("4cf49a22c6a0d72f", 0, "unrelaxed", "ab") == hashlib.sha256(content).hexdigest()[:32]


@pytest.mark.parametrize(("start", "hashes"), [("unrelaxed", ("c", "g")), ("prerelaxed", ()), ("prerelaxed", ("c",))])
def test_a_start_has_the_hashes_it_needs_and_no_others(start, hashes):
    with pytest.raises(ValueError, match="A prerelaxed start, and no other"):
        relaxation_key("a", 0, start, "p", *hashes)
