"""Incremental indicators: one input at a time, plain Python floats, no numpy."""
