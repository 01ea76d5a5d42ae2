"""Campaigns through FireWorks: GPU workers predict, CPU workers relax, and every result goes straight into the store."""
