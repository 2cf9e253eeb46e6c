"""``python -m christmas.cli``."""

from christmas.cli.main import main

main()
