"""The indicators over whole numpy arrays; never imported by a running strategy's process."""
