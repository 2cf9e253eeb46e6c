"""Christmas: a fleet of scalping strategies, one isolated process for each."""

__version__ = "0.1.0"
