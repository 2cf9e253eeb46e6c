from __future__ import annotations

import json

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from christmas.resources.places import read_documents

WORDS = st.lists(st.text("abcxyz()<>.,'14", min_size=1, max_size=8), min_size=1, max_size=8)


def written_by_hand(words: list[str], style: str) -> str:
    text = " ".join(words)
    match style:
        case "double":
            return f"a:\n  rule: {json.dumps(text)}\n"
        case "single":
            return "a:\n  rule: '" + text.replace("'", "''") + "'\n"
        case "folded":
            return "a:\n  rule: >-\n" + "".join(f"    {word}\n" for word in words)
        case _:
            return "a:\n  rule: |-\n" + "".join(f"    {word}\n" for word in words)


@settings(max_examples=200)
@given(WORDS, st.sampled_from(["double", "single", "folded", "literal"]), st.data())
def test_every_character_of_a_text_is_found_in_the_file(words: list[str], style: str, data: st.DataObject) -> None:
    source = written_by_hand(words, style)
    (document,), problems = read_documents(source, "f.yaml")
    assert not problems
    value: str = document.data["a"]["rule"]
    offset = data.draw(st.integers(0, len(value) - 1).filter(lambda index: not value[index].isspace()))
    line, column = document.place_within(("a", "rule"), offset)
    assert source.splitlines()[line - 1][column - 1] == value[offset]


@settings(max_examples=100)
@given(
    st.recursive(
        st.one_of(st.integers(), st.booleans(), st.none(), st.text("abc \n:'\"#-", max_size=10)),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text("abcd", min_size=1), inner)),
    )
)
def test_data_is_what_yaml_says(data: object) -> None:
    documents, problems = read_documents(yaml.safe_dump({"top": data}), "f.yaml")
    assert not problems
    assert documents[0].data == {"top": data}


@settings(max_examples=100)
@given(st.text(max_size=60))
def test_no_text_makes_it_fail(text: str) -> None:
    documents, problems = read_documents(text, "f.yaml")
    assert all(problem.line >= 1 and problem.column >= 1 for problem in problems)
    assert all(document.data is not None for document in documents)
