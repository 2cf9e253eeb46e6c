"""Whole replays: the fleet's own processes, from a file of prints to the report."""
