"""A queueing system of one node, for tests on a machine that belongs to no cluster."""
