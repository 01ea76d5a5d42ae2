"""A database that speaks MongoDB's protocol, for tests on a machine that has no MongoDB."""
