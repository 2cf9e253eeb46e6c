"""Strategies: observe, decide, status."""
