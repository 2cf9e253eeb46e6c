"""``python -m christmas_operator.crds [FOLDER]``: write the CustomResourceDefinitions, into crds/ by default."""

from __future__ import annotations

import sys
from pathlib import Path

from christmas_operator.crds.files import write

if __name__ == "__main__":
    for file in write(Path(sys.argv[1] if len(sys.argv) > 1 else "crds")):
        sys.stdout.write(f"{file}: {file.stat().st_size} bytes\n")
