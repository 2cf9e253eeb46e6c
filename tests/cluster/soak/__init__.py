"""Strategies applied, changed, suspended and deleted at random for an hour: what is true, what is left, what grows."""
