from __future__ import annotations

from definet_flows.launch.status import CampaignStatus, total_of


def status(name, **changes):
    fields = {"n_configurations": 3, "states": {"waiting": 1}, "runs": {}, "per_hour": None, "seconds_left": None}
    return CampaignStatus(name=name, failures=[], **fields | changes)


def test_counts_of_hosts_are_added_and_rates_only_where_they_tell_when_all_is_done():
    one = status("a", states={"waiting": 1, "converged": 2}, per_hour=2.0, seconds_left=1800.0, standing="under way")
    other = status(
        "b", states={"failed": 3}, runs={"failed": 3}, per_hour=6.0, seconds_left=600.0, standing="under way"
    )
    total = total_of("both", [one, other])
    assert (total.name, total.n_configurations, total.failures) == ("both", 6, [])
    assert total.states == {"waiting": 1, "converged": 2, "failed": 3}
    assert total.runs == {"failed": 3}
    assert (total.per_hour, total.seconds_left, total.standing) == (8.0, (3600.0 + 3600.0) / 8.0, "under way")
    total = total_of("both", [one, status("b", standing="stopped")])
    assert (total.per_hour, total.seconds_left, total.standing) == (2.0, None, None)
