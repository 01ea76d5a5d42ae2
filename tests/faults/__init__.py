"""Faults on purpose: launchers that die at a chosen change of the database, queues, disks and clocks that fail."""
