"""The process that runs one Strategy."""
