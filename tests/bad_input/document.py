"""``python -m tests.bad_input.document``: write docs/bad-input.md from the cases."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from tests.bad_input import cases_cli, cases_files, cases_frames, cases_manifests, cases_permits, cases_ticks
from tests.bad_input.case import Case, Section

PAGE: Final = Path(__file__).parents[2] / "docs" / "bad-input.md"
SECTIONS: Final[tuple[Section, ...]] = (
    cases_manifests.SECTION,
    cases_manifests.RULES,
    cases_files.SECTION,
    cases_ticks.SECTION,
    cases_frames.SECTION,
    cases_frames.SESSION,
    cases_permits.SECTION,
    cases_cli.SECTION,
    cases_cli.SETTINGS,
)
_SHOWN: Final = 400


def page() -> str:
    count = sum(len(section.cases) for section in SECTIONS)
    lines = [
        "# Bad input",
        "",
        "What happens with input that is wrong: who gave it is told where it is and what mends it, and nobody else",
        "notices.",
        f"These {count} cases are tests (`tests/bad_input`), and this page is made from them with",
        "`python -m tests.bad_input.document`. `tests/fuzz` looks for what is not in the list.",
    ]
    for section in SECTIONS:
        lines += ["", f"## {section.title}", "", f"Given: {section.given}.", "", f"Afterwards: {section.after}.", ""]
        lines += ["| case | what is wrong | what is said |", "|---|---|---|"]
        lines += [f"| {case.id} | {_cell(case.wrong)} | {_said(case)} |" for case in section.cases]
    return "\n".join(lines) + "\n"


def _said(case: Case) -> str:
    said = case.message if len(case.message) <= _SHOWN else f"{case.message[:_SHOWN]}..."
    return "<br>".join(f"`{_cell(line)}`" for line in said.replace("`", "'").splitlines())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")
