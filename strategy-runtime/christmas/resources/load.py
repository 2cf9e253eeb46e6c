"""Manifests from files, folders or standard input, checked through and through."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from christmas.resources.broker import Broker
from christmas.resources.checks import check_rule
from christmas.resources.meta import API_VERSION
from christmas.resources.places import Document, read_documents
from christmas.resources.problem import FieldPath, Finding, ManifestError, Problem, did_you_mean, path_text
from christmas.resources.strategy import Strategy
from christmas.resources.structure import misfits
from christmas.resources.validate import BuiltinCheck, Resource, validate

KINDS: Final[Mapping[str, type[Strategy] | type[Broker]]] = {"Strategy": Strategy, "Broker": Broker}
SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})
_BESIDE: Final = "name a file that can be read; a relative name starts at the manifest's folder"
_MAXIMUM_BYTES: Final = 4 * 1024 * 1024


class Loaded(NamedTuple):
    """Resources in the order in which they were read, warnings about them, and the document of each."""

    resources: tuple[Resource, ...]
    warnings: tuple[Problem, ...]
    documents: tuple[Document, ...] = ()

    @property
    def strategies(self) -> tuple[Strategy, ...]:
        return tuple(resource for resource in self.resources if isinstance(resource, Strategy))

    @property
    def brokers(self) -> tuple[Broker, ...]:
        return tuple(resource for resource in self.resources if isinstance(resource, Broker))


class _Placed(NamedTuple):
    resource: Resource
    document: Document


def load(
    paths: Iterable[str | Path], *, known: Iterable[Resource] = (), check_builtin: BuiltinCheck | None = None
) -> Loaded:
    """Read all manifests of ``paths`` (files, folders, ``-`` for standard input).

    A relative file that a manifest names (``code.file``, ``feed.replay.files``) is sought beside the
    manifest; code is taken into ``code.source``, so that what is loaded stands on its own. ``known``
    are resources that exist already and may be referred to; ``check_builtin`` judges a builtin's parameters
    (whoever may import the execution layer has it). Raises `ManifestError` with every problem.
    """
    problems: list[Problem] = []
    documents: list[Document] = []
    for file, folder, text in _texts(paths, problems):
        found, wrong = read_documents(text, file)
        problems.extend(wrong)
        for document in found:
            _take_files_in(document, folder, problems)
        documents.extend(found)
    placed = [_Placed(resource, document) for document in documents for resource in _resource(document, problems)]
    problems.extend(_duplicates(placed))
    if not problems and not placed:
        named = ", ".join(str(path) for path in paths)
        what = "no manifest here"
        problems.append(
            Problem(file=named, line=1, column=1, path="", what=what, mend="expected *.yaml, *.yml or *.json")
        )
    given = [entry.resource for entry in placed]
    findings = validate(
        given,
        known=known,
        unreadable=_unreadable_brokers(documents, placed),
        check_rule=check_rule,
        check_builtin=check_builtin,
    )
    problems.extend(_located(finding, placed) for finding in findings)
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        raise ManifestError(sorted(errors, key=lambda problem: (problem.file, problem.line, problem.column)))
    return Loaded(tuple(given), tuple(problems), tuple(entry.document for entry in placed))


def identity(resource: Resource) -> tuple[str, str]:
    """Kind and name."""
    return type(resource).__name__, resource.metadata.name


def _texts(paths: Iterable[str | Path], problems: list[Problem]) -> Iterable[tuple[str, Path, str]]:
    for path in paths:
        if str(path) == "-":
            yield "<stdin>", Path.cwd(), sys.stdin.read()
            continue
        top = Path(path)
        files: Sequence[Path] = [top]
        if top.is_dir():
            files = sorted(file for file in top.iterdir() if file.suffix in SUFFIXES and file.is_file())
        for file in files:
            try:
                if file.stat().st_size > _MAXIMUM_BYTES:
                    raise ValueError("larger than 4 MiB")
                yield str(file), file.parent, file.read_text(encoding="utf-8")
            except (OSError, ValueError) as error:
                what = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
                problems.append(Problem(file=str(file), line=1, column=1, path="", what=f"cannot be read: {what}"))


def _resource(document: Document, problems: list[Problem]) -> list[Resource]:
    data = document.data
    if not isinstance(data, dict):
        problems.append(document.problem((), "not a manifest", "a mapping with apiVersion, kind, metadata and spec"))
        return []
    kind, version = str(data.get("kind")), data.get("apiVersion")
    if version != API_VERSION:
        what = f"{version} is not {API_VERSION}" if "apiVersion" in data else "apiVersion is missing"
        problems.append(document.problem(("apiVersion",), what, f"write apiVersion: {API_VERSION}"))
    if kind not in KINDS:
        what = f"kind {kind} is unknown" if "kind" in data else "kind is missing"
        problems.append(document.problem(("kind",), what, did_you_mean(kind, KINDS)))
        return []
    found = misfits(data, KINDS[kind])
    problems.extend(
        document.problem(misfit.path, misfit.what, misfit.mend, on_key=misfit.on_key)
        for misfit in found
        if misfit.path != ("apiVersion",)
    )
    return [] if found else [msgspec.convert(data, KINDS[kind])]


def _unreadable_brokers(documents: Sequence[Document], placed: Sequence[_Placed]) -> set[str]:
    """Names of documents that may be Brokers and are none yet, so that nobody is told that there is none."""
    whole = {id(entry.document) for entry in placed}
    names = (
        _at(document.data, "metadata", "name")
        for document in documents
        if id(document) not in whole and _at(document.data, "kind") != "Strategy"
    )
    return {name for name in names if isinstance(name, str)}


def _take_files_in(document: Document, folder: Path, problems: list[Problem]) -> None:
    """Resolve the files that a manifest names; silent where the structure is wrong, that is told later."""
    code = _at(document.data, "spec", "code")
    file = _at(code, "file")
    if isinstance(code, dict) and isinstance(file, str):
        path: FieldPath = ("spec", "code", "file")
        try:
            source = (folder / file).read_text(encoding="utf-8")
        except (OSError, ValueError):
            problems.append(document.problem(path, f"{folder / file} cannot be read", _BESIDE))
        else:
            if "source" not in code and "module" not in code:
                del code["file"]
                code["source"] = source
                document.values[("spec", "code", "source")] = document.place(path)
    files = _at(document.data, "spec", "feed", "replay", "files")
    if isinstance(files, list):
        for index, name in enumerate(files):
            if isinstance(name, str):
                full = (folder / name).resolve()
                if not full.is_file():
                    path = ("spec", "feed", "replay", "files", index)
                    problems.append(document.problem(path, f"there is no file {full}", _BESIDE))
                files[index] = str(full)


def _at(data: Any, *path: str) -> Any:
    for part in path:
        if not isinstance(data, dict):
            return None
        data = data.get(part)
    return data


def _duplicates(placed: Sequence[_Placed]) -> list[Problem]:
    first: dict[tuple[str, str], Document] = {}
    problems = []
    for resource, document in placed:
        key = identity(resource)
        earlier = first.setdefault(key, document)
        if earlier is not document:
            where = f"{earlier.file}:{earlier.place(('metadata', 'name')).line}"
            problems.append(
                document.problem(
                    ("metadata", "name"),
                    f"there are two of {key[0]} {key[1]}",
                    f"the first is at {where}; rename or remove one",
                )
            )
    return problems


def _located(finding: Finding, placed: Sequence[_Placed]) -> Problem:
    document = next(entry.document for entry in placed if identity(entry.resource) == (finding.kind, finding.name))
    if finding.offset is None:
        place = document.place(finding.path, on_key=finding.on_key)
    else:
        place = document.place_within(finding.path, finding.offset)
    return Problem(
        file=document.file,
        line=place.line,
        column=place.column,
        path=path_text(finding.path),
        what=finding.what,
        mend=finding.mend,
        severity=finding.severity,
    )
