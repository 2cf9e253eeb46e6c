"""Command lines and settings files."""

from __future__ import annotations

from tests.bad_input.case import Case, Section

SECTION = Section(
    title="The command line",
    given="`christmas` with these arguments, in an empty folder with an empty state folder",
    after="exit code 2 (1 where the words were right and the fleet says no), nothing is stored",
    cases=(
        Case(
            "cli-command",
            "a mistyped command",
            ("aply",),
            message="error: there is no command aply (did you mean apply?) (see `christmas --help`)",
        ),
        Case(
            "cli-option",
            "an unknown option",
            ("apply", "--file", "x"),
            message="error: No such option '--file'. Did you mean '--filename'? (see `christmas apply --help`)",
        ),
        Case(
            "cli-missing-option",
            "a required option is missing",
            ("apply",),
            message="error: Missing option '-f' / '--filename'. (see `christmas apply --help`)",
        ),
        Case(
            "cli-missing-file",
            "a file that is not there",
            ("apply", "-f", "nowhere.yaml"),
            message="error: Invalid value for '-f' / '--filename': Path 'nowhere.yaml' does not exist. (see `christmas apply --help`)",
        ),
        Case(
            "cli-folder-without",
            "a folder without manifests",
            ("apply", "-f", "."),
            message="error: .:1:1: no manifest here (expected *.yaml, *.yml or *.json)",
        ),
        Case(
            "cli-kind",
            "a mistyped type",
            ("get", "strategie"),
            message="error: there is no resource type strategie (did you mean strategies?) (see `christmas get --help`)",
        ),
        Case(
            "cli-format",
            "an unknown format",
            ("get", "strategies", "-o", "xml"),
            message="error: Invalid value for '-o' / '--output': 'xml' is not one of 'table', 'wide', 'json', 'yaml', 'name'. (see `christmas get --help`)",
        ),
        Case(
            "cli-speed",
            "a speed that is none",
            ("up", ".", "--speed", "fast"),
            message="error: Invalid value for '--speed': write max, 1x, or a multiple like 10x (see `christmas up --help`)",
        ),
        Case(
            "cli-until-end",
            "--until-end without a replay",
            ("up", ".", "--until-end"),
            message="error: --until-end and --symbol belong to --replay (see `christmas up --help`)",
        ),
        Case(
            "cli-up-nothing",
            "nothing to run",
            ("up",),
            message="error: nothing was applied to state yet (christmas up FOLDER, for example `christmas up examples`)",
        ),
        Case(
            "cli-replay-no-folder",
            "a replay without manifests",
            ("up", "--replay", "."),
            message="error: Invalid value for '--replay': File '.' is a directory. (see `christmas up --help`)",
        ),
        Case(
            "cli-not-running",
            "a question to a fleet that does not run",
            ("explain", "scalper"),
            message="error: no fleet runs from this state folder (start one with `christmas up`)",
        ),
        Case(
            "cli-explain-broker",
            "an explanation of a Broker",
            ("explain", "broker/paper"),
            message="error: only strategies are explained: name one, for example strategy/btc-scalper (see `christmas explain --help`)",
        ),
        Case(
            "cli-kill-nothing",
            "a kill of nobody",
            ("kill", "--yes"),
            message="error: Missing argument 'WHAT...'. (see `christmas kill --help`)",
        ),
        Case(
            "cli-delete-unknown",
            "a deletion of what is not there",
            ("delete", "strategy", "nobody"),
            message="error: no fleet runs from this state folder (start one with `christmas up`)",
        ),
        Case(
            "cli-suspend-unknown",
            "a suspension of what is not there",
            ("suspend", "nobody"),
            message="error: no fleet runs from this state folder (start one with `christmas up`)",
        ),
    ),
)

SETTINGS = Section(
    title="Settings files",
    given="`python -m christmas.brokers.gateway settings.json`",
    after="the process ends at once with an exit code above 0, nothing was opened or written",
    cases=(
        Case(
            "settings-none",
            "a file that is not there",
            ("missing",),
            message="settings.json: No such file or directory; name a settings file that can be read",
        ),
        Case(
            "settings-empty",
            "an empty file",
            b"",
            message="settings.json: Input data was truncated; mend the file, it is JSON",
        ),
        Case(
            "settings-json",
            "no JSON",
            b"{name: g}",
            message="settings.json: JSON is malformed: object keys must be strings (byte 1); mend the file, it is JSON",
        ),
        Case(
            "settings-encoding",
            "bytes that are no UTF-8",
            b'{"name": "\xff"}',
            message="settings.json: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte; mend the file, it is JSON",
        ),
        Case(
            "settings-field",
            "an unknown field",
            b'{"name": "g", "redis": "x"}',
            message="settings.json: Object contains unknown field `redis`; mend the file, it is JSON",
        ),
        Case(
            "settings-missing",
            "a field is missing",
            b'{"name": "g"}',
            message="settings.json: Object missing required field `redis_url`; mend the file, it is JSON",
        ),
        Case(
            "settings-type",
            "a word for a port",
            b'{"name": "g", "redis_url": "redis://x", "http_port": "web"}',
            message="settings.json: Expected `int`, got `str` - at `$.http_port`; mend the file, it is JSON",
        ),
        Case(
            "settings-url-file",
            "a URL in a file that is not there",
            b'{"name": "g", "redis_url": "file:nowhere", "listen": "unix:/x", "state_directory": "s", "permit_key_file": "k"}',
            message="settings.json: redis_url: [Errno 2] No such file or directory: 'nowhere'; name a file that holds the URL",
        ),
    ),
)
