"""Records survive the way to the store and back, whatever the user typed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samovar.errors import EngineError
from samovar.model.alias import Alias
from samovar.model.function import (
    AttachedLayer,
    CodePackage,
    Configuration,
    FunctionVersion,
    State,
    UpdateStatus,
)
from samovar.registry.records import (
    alias_from_stored,
    alias_to_stored,
    from_stored,
    to_stored,
)

text = st.text(st.characters(exclude_categories=["Cs"]))
functions = st.builds(
    FunctionVersion,
    name=text,
    arn=text,
    configuration=st.builds(
        Configuration,
        handler=text,
        runtime=text,
        role=text,
        environment=st.none() | st.dictionaries(text, text),
        log_group=st.none() | text,
        timeout=st.integers(1, 900),
        layers=st.lists(
            st.builds(AttachedLayer, text, text, st.integers(0), st.integers(0), st.booleans())
        ).map(tuple),
    ),
    code=st.builds(
        CodePackage, sha256=text, size=st.integers(0), import_paths=st.lists(text).map(tuple)
    ),
    revision_id=text,
    last_modified=st.floats(0, 1e10),
    generation=st.integers(1),
    state=st.sampled_from(State),
    state_reason=st.none() | text,
    last_number=st.integers(0),
    update_status=st.none() | st.sampled_from(UpdateStatus),
)


@given(functions)
def test_there_and_back(function: FunctionVersion) -> None:
    stored = to_stored(function, "node-a")
    assert (stored.key, stored.revision, stored.node) == (
        function.arn,
        function.revision_id,
        "node-a",
    )
    back = from_stored(stored)
    assert back == function
    assert back.pool == function.pool
    assert type(back.code.import_paths) is tuple


@given(functions, st.integers(1), text)
def test_a_version_goes_with_its_function(
    function: FunctionVersion, number: int, description: str
) -> None:
    version = replace(function, version=str(number), latest_description=description)
    stored = to_stored(version, "node-a")
    assert (stored.key, stored.owner) == (version.qualified_arn, ("function", function.arn))
    assert from_stored(stored) == version


@given(text, text, text, text, st.none() | st.tuples(text, st.floats(0, 1)))
def test_an_alias_there_and_back(
    name: str, version: str, description: str, revision: str, additional: tuple[str, float] | None
) -> None:
    alias = Alias(name, f"arn:{name}", version, description, revision, additional)
    stored = alias_to_stored(alias, "arn", "node-a")
    assert (stored.key, stored.owner) == (alias.arn, ("function", "arn"))
    assert alias_from_stored(stored) == alias


def test_a_document_from_before_there_were_versions() -> None:
    function = FunctionVersion(
        "f", "arn:f", Configuration("h", "r", "x"), CodePackage("0", 1), "r1", 0.0
    )
    stored = to_stored(function, "node-a")
    document = json.loads(stored.document)
    del document["last_number"], document["latest_description"]
    assert from_stored(replace(stored, document=json.dumps(document))) == function


def damaged(text: str) -> str:
    stored = to_stored(
        FunctionVersion("f", "arn:f", Configuration("h", "r", "x"), CodePackage("0", 1), "r1", 0.0),
        "node-a",
    )
    with pytest.raises(EngineError) as caught:
        from_stored(replace(stored, document=text or stored.document))
    return caught.value.message


def test_other_forms_are_refused() -> None:
    assert "stored in the form 99" in damaged(json.dumps({"document": 99}))
    for text in ("no json", "[]", "{}", '{"document":1}'):
        assert "arn:f is damaged" in damaged(text)
