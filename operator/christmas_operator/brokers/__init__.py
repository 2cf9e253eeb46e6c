"""Brokers: observe, decide, status."""
