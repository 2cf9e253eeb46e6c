from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from christmas.cli.main import _VERBS, christmas

HEAVY = ("asyncpg", "yaml", "rich", "redis", "psutil", "msgspec", "numpy", "uvloop", "asyncio")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "christmas.cli", *arguments], capture_output=True, text=True, check=False, timeout=60
    )


def test_help_imports_nothing_heavy() -> None:
    code = f"""
import sys
sys.argv = ["christmas", "--help"]
from christmas.cli.main import main
try:
    main()
except SystemExit:
    pass
print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr.strip() == "[]"
    assert all(verb in done.stdout for verb in _VERBS)


@pytest.mark.parametrize("verb", sorted(_VERBS))
def test_every_verb_has_help(verb: str) -> None:
    result = CliRunner().invoke(christmas, [verb, "--help"])
    assert result.exit_code == 0, result.output
    assert result.output.startswith("Usage:")


def test_errors_are_one_line_on_stderr_with_a_mend() -> None:
    for arguments, words in (
        (["aply"], "did you mean apply?"),
        (["get", "stratgies"], "did you mean strategies?"),
        (["explain", "x", "--state", "/nonexistent-christmas"], "christmas up"),
    ):
        done = run(*arguments)
        assert done.returncode != 0
        assert done.stdout == ""
        assert len(done.stderr.strip().splitlines()) == 1
        assert words in done.stderr


def test_version() -> None:
    assert run("--version").stdout.startswith("christmas, version ")
