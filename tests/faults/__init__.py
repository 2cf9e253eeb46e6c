"""Faults of the network and of the machine, put between and into real processes."""
