"""Filter patterns: every rule of the guide, every refusal, and what is true of all patterns."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samovar.errors import AWS
from samovar.event_sources.conditions import InvalidPattern
from samovar.event_sources.json_values import Number, load
from samovar.event_sources.patterns import Pattern
from samovar.model import limits


def matches(pattern: str, event: str) -> bool:
    return Pattern.compile(pattern).matches(load(event))


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        ("[null]", ["null"], ['"null"', '""', "0", "false", "[]"]),
        ('[""]', ['""'], ["null", '" "', "[]", "{}"]),
        ('["Alice"]', ['"Alice"'], ['"alice"', '"Alice "', "null"]),
        ("[5]", ["5"], ['"5"', "5.0", "5e0", "-5", "true"]),
        ("[300]", ["300"], ["300.0", "3e2", "3E2"]),
        ("[3e2]", ["3e2"], ["300", "3E2"]),
        ("[true]", ["true"], ["1", '"true"', "false"]),
        ("[false]", ["false"], ["0", "null", "true"]),
        ('["a", null, 1]', ['"a"', "null", "1"], ['"b"', "2"]),
        ('[{"equals-ignore-case":"alice"}]', ['"ALICE"', '"Alice"'], ['"alic"', "null", "5"]),
        ('[{"anything-but":["Raining"]}]', ['"Snow"', "5", "null", "true"], ['"Raining"', "[]"]),
        ('[{"anything-but":"x"}]', ['"y"'], ['"x"']),
        ('[{"anything-but":["x","y"]}]', ['"z"'], ['"x"', '"y"', "{}"]),
        ('[{"anything-but":5}]', ["6", '"5"', "5.0"], ["5"]),
        ('[{"anything-but":[5,6]}]', ["7"], ["5", "6"]),
        ('[{"anything-but":{"prefix":"us-"}}]', ['"eu-1"', '"u"', "1"], ['"us-1"', '"us-"']),
        ('[{"anything-but":{"suffix":[".png",".gif"]}}]', ['"a.txt"'], ['"a.png"', '"a.gif"']),
        ('[{"anything-but":{"equals-ignore-case":"x"}}]', ['"y"'], ['"x"', '"X"']),
        ('[{"numeric":["=",300]}]', ["300", "300.0", "3e2"], ["301", '"300"', "null", "true"]),
        ('[{"numeric":["=",1]}]', ["1"], ["true"]),
        ('[{"numeric":[">",10]}]', ["10.01", "11", "1e999999999999"], ["10", "9", "-11"]),
        ('[{"numeric":[">=",10]}]', ["10", "10.0", "11"], ["9.99"]),
        ('[{"numeric":["<",10]}]', ["9.99", "-11"], ["10", "10.0"]),
        ('[{"numeric":["<=",10]}]', ["10", "1e1"], ["10.01"]),
        ('[{"numeric":[">",10,"<=",20]}]', ["10.5", "20"], ["10", "20.5", '"15"']),
        ('[{"numeric":[">=",-1.5,"<",0]}]', ["-1.5", "-1"], ["0", "-1.6"]),
        # Beyond what doubles tell apart.
        ('[{"numeric":["=",9007199254740993]}]', ["9007199254740993"], ["9007199254740992"]),
        ('[{"exists":true}]', ["null", '""', "0", "[[1]]"], ["{}", '{"b":1}', "[]", "[[]]"]),
        ('[{"exists":false}]', ["{}", '{"b":1}', "[]", "[{}]"], ["null", '""', "[1]"]),
        ('[{"exists":false},"x"]', ["{}", '"x"'], ['"y"']),
        ('[{"prefix":"us-"}]', ['"us-1"', '"us-"'], ['"US-1"', '"us"', "5"]),
        ('[{"prefix":""}]', ['""', '"x"'], ["5"]),
        ('[{"prefix":{"equals-ignore-case":"us-"}}]', ['"US-1"'], ['"EU-1"', "5"]),
        ('[{"suffix":".png"}]', ['"a.png"'], ['"a.PNG"', '"png"', "5"]),
        ('[{"suffix":{"equals-ignore-case":".png"}}]', ['"a.PNG"'], ['"a.gif"']),
        # An array of the event has the values that are in it.
        ('["x"]', ['["y","x"]', '[["y"],["x"]]'], ['["y"]', '[{"a":"x"}]']),
        ('[{"anything-but":"x"}]', ['["x","y"]'], ['["x"]']),
        ('{"b":[1]}', ['{"b":1}', '[{"b":2},{"b":1}]', '{"b":[2,1]}'], ["1", "[1]", "{}"]),
        # One element satisfies them all.
        (
            '{"b":[1],"c":[2]}',
            ['[{"b":0},{"b":1,"c":2}]'],
            ['[{"b":1,"c":0},{"b":0,"c":2}]', '{"b":1}'],
        ),
        (
            '{"b":[{"exists":false}]}',
            ["{}", "5", "[]", '[{"c":1}]', '{"b":{"c":1}}'],
            ['[{"b":1},{"c":1}]', '{"b":null}'],
        ),
        (
            '{"b":[{"exists":false}],"c":[1]}',
            ['[{"b":1},{"c":1}]', '[{"c":1},{"b":1}]'],
            ['[{"b":1,"c":1}]', "[]"],
        ),
        (
            '{"c":[1],"b":[{"exists":false}]}',  # in any order
            ['[{"b":1},{"c":1}]', '[{"c":1},{"b":1}]'],
            ['[{"b":1,"c":1}]', "[]"],
        ),
    ],
)
def test_a_rule(rule: str, good: list[str], bad: list[str]) -> None:
    pattern = f'{{"a":{rule}}}'
    assert [value for value in good if not matches(pattern, f'{{"a":{value}}}')] == []
    assert [value for value in bad if matches(pattern, f'{{"a":{value}}}')] == []


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        ('{"a":[1],"b":[2]}', ['{"a":1,"b":2,"c":3}'], ['{"a":1}', '{"b":2}', "{}", "5"]),
        ('{"a":[{"exists":false}]}', ["{}", "5", "null"], ['{"a":1}']),
        ('{"$or":[{"A":["x"]},{"B":["y"]}]}', ['{"A":"x"}', '{"B":"y"}'], ['{"A":"y"}', "{}"]),
        (
            '{"C":[1],"$or":[{"A":["x"]},{"B":["y"],"D":[2]}]}',
            ['{"C":1,"A":"x"}', '{"C":1,"B":"y","D":2}'],
            ['{"A":"x"}', '{"C":1,"B":"y"}', '{"C":1}'],
        ),
        (
            '{"o":{"$or":[{"A":["x"]},{"$or":[{"B":[1]},{"C":[1]}]}]}}',
            ['{"o":{"A":"x"}}', '{"o":{"B":1}}', '{"o":[{"D":1},{"C":1}]}'],
            ['{"o":{"A":"y"}}', '{"B":1}'],
        ),
        ('{"a":["x"],"a":["y"]}', ['{"a":"y"}', '{"a":"x","a":"y"}'], ['{"a":"x"}']),
        ('{"exists":["x"]}', ['{"exists":"x"}'], ["{}"]),  # a field may be called that
    ],
)
def test_an_object(pattern: str, good: list[str], bad: list[str]) -> None:
    assert [event for event in good if not matches(pattern, event)] == []
    assert [event for event in bad if matches(pattern, event)] == []


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("", "isn't JSON"),
        ("{", "isn't JSON"),
        ('{"a":[NaN]}', "NaN is no JSON"),
        ("[" * 4096, "isn't JSON"),
        ("null", "is an object"),
        ('"a"', "is an object"),
        ('["a"]', "is an object"),
        ("{}", "with keys"),
        ('{"a":{}}', "with keys"),
        ('{"a":null}', "a takes an object or an array"),
        ('{"a":"x"}', "a takes an object or an array"),
        ('{"a":5}', "a takes an object or an array"),
        ('{"a":true}', "a takes an object or an array"),
        ('{"a":[]}', "something in it"),
        ('{"a":["x"],"a":[]}', "something in it"),
        ('{"a":[["x"]]}', "no arrays in it"),
        ('{"a":[{}]}', "one operator, not 0"),
        ('{"a":[{"prefix":"x","suffix":"y"}]}', "one operator, not 2"),
        ('{"a":[{"wildcard":"*"}]}', "wildcard is no operator"),
        ('{"a":[{"cidr":"10.0.0.0/8"}]}', "cidr is no operator"),
        ('{"a":[{"Prefix":"x"}]}', "Prefix is no operator"),
        ('{"a":[{"prefix":5}]}', "prefix takes a string"),
        ('{"a":[{"prefix":["x"]}]}', "prefix takes a string"),
        ('{"a":[{"prefix":{"suffix":"x"}}]}', "not suffix"),
        ('{"a":[{"prefix":{"equals-ignore-case":5}}]}', "prefix takes a string"),
        ('{"a":[{"suffix":null}]}', "suffix takes a string"),
        ('{"a":[{"equals-ignore-case":["x"]}]}', "equals-ignore-case takes a string"),
        ('{"a":[{"anything-but":[]}]}', "anything-but takes"),
        ('{"a":[{"anything-but":["x",5]}]}', "not both"),
        ('{"a":[{"anything-but":null}]}', "anything-but takes"),
        ('{"a":[{"anything-but":[true]}]}', "anything-but takes"),
        ('{"a":[{"anything-but":{}}]}', "one operator, not 0"),
        ('{"a":[{"anything-but":{"numeric":["=",5]}}]}', "not numeric"),
        ('{"a":[{"anything-but":{"prefix":""}}]}', "anything-but with prefix"),
        ('{"a":[{"anything-but":{"suffix":[]}}]}', "anything-but with suffix"),
        ('{"a":[{"anything-but":{"prefix":5}}]}', "anything-but with prefix"),
        ('{"a":[{"numeric":5}]}', "an operator and a number"),
        ('{"a":[{"numeric":[]}]}', "an operator and a number"),
        ('{"a":[{"numeric":[">"]}]}', "an operator and a number"),
        ('{"a":[{"numeric":[">",1,"<"]}]}', "an operator and a number"),
        ('{"a":[{"numeric":[">",1,"<",5,"<",6]}]}', "an operator and a number"),
        ('{"a":[{"numeric":["==",1]}]}', "compares with"),
        ('{"a":[{"numeric":[1,">"]}]}', "compares with"),
        ('{"a":[{"numeric":[["="],1]}]}', "compares with"),
        ('{"a":[{"numeric":[">","1"]}]}', "a number after >"),
        ('{"a":[{"numeric":["<",true]}]}', "a number after <"),
        ('{"a":[{"numeric":["=",1e99999999999999999999]}]}', "a number after ="),
        ('{"a":[{"numeric":["<",9,">",1]}]}', "not from <"),
        ('{"a":[{"numeric":[">",1,"=",9]}]}', "a range goes"),
        ('{"a":[{"numeric":[">",1,">",9]}]}', "a range goes"),
        ('{"a":[{"numeric":[">",9,"<",1]}]}', "smaller"),
        ('{"a":[{"numeric":[">=",1,"<=",1.0]}]}', "smaller"),
        ('{"a":{"exists":true}}', "exists takes an object or an array"),
        ('{"a":[{"exists":"true"}]}', "true or false"),
        ('{"a":[{"exists":0}]}', "true or false"),
        ('{"a":[{"exists":null}]}', "true or false"),
        ('{"$or":{"a":[1],"b":[2]}}', r"\$or takes"),
        ('{"$or":[]}', r"\$or takes"),
        ('{"$or":[{"a":[1]}]}', r"\$or takes"),
        ('{"$or":[{"a":[1]},"b"]}', "is an object"),
        ('{"$or":[{"a":[1]},{}]}', "with keys"),
        ('{"a":' * 101 + "[1]" + "}" * 101, "100 deep"),
        ('{"a":["' + "x" * 4087 + '"]}', "4096 characters"),
    ],
)
def test_what_is_no_pattern_is_refused_in_awss_words(pattern: str, reason: str) -> None:
    with pytest.raises(InvalidPattern) as refused:
        Pattern.compile(pattern)
    assert refused.value.error is AWS.INVALID_PARAMETER
    assert refused.value.message == str(refused.value) == "Invalid filter pattern definition."
    with pytest.raises(ValueError, match=reason):
        raise ValueError(refused.value.reason)


def test_a_pattern_may_be_as_long_and_as_deep_as_is_said() -> None:
    longest = "x" * (limits.FILTER_PATTERN_LENGTH - len('{"a":[""]}'))
    assert matches(f'{{"a":["{longest}"]}}', f'{{"a":"{longest}"}}')
    deepest = '{"a":' * 100
    assert matches(deepest + "[1]" + "}" * 100, deepest + "1" + "}" * 100)


def test_patterns_of_one_text_are_equal() -> None:
    assert Pattern.compile('{"a":[1]}') == Pattern.compile('{"a":[1]}')
    assert Pattern.compile('{"a":[1]}') != Pattern.compile('{"a":[2]}')


def test_numbers_that_python_read_are_compared_as_it_writes_them() -> None:
    event = {"a": 300, "b": 0.5, "c": float("nan")}
    for pattern in ('{"a":[300]}', '{"b":[0.5]}', '{"b":[{"numeric":["<",1]}]}'):
        assert Pattern.compile(pattern).matches(event)
    assert not Pattern.compile('{"a":[300.0]}').matches(event)
    assert not Pattern.compile('{"c":[{"numeric":["<",1]}]}').matches(event)


def test_an_events_arrays_may_be_deeper_than_calls() -> None:
    deep: object = Number("1")
    for _ in range(50_000):
        deep = [deep]
    assert Pattern.compile('{"a":[1]}').matches({"a": deep})
    assert not Pattern.compile('{"a":[2]}').matches({"a": deep})


@pytest.mark.parametrize("text", ["", "{", "nope", "Infinity", "-Infinity", "[" * 200_000])
def test_what_is_no_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"Expecting|JSON|deep"):
        load(text)


def test_a_number_keeps_its_text() -> None:
    texts = ["300", "300.0", "3E+2", "-0", "9" * 5000]
    assert load(f"[{','.join(texts)}]") == [Number(text) for text in texts]


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
)
names = st.sampled_from(["a", "b", "c", "$or", "exists", "prefix", "numeric", "anything-but"])
json_values = st.recursive(
    scalars | st.sampled_from(["=", ">", "<="]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=12,
)
fields = st.sampled_from("abc")
events = st.dictionaries(
    fields,
    st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(fields, inner, max_size=3),
        max_leaves=8,
    ),
)
full_events = st.dictionaries(  # with something in each array and object
    fields,
    st.recursive(
        scalars,
        lambda inner: (
            st.lists(inner, min_size=1, max_size=3)
            | st.dictionaries(fields, inner, min_size=1, max_size=3)
        ),
        max_leaves=8,
    ),
    min_size=1,
)


def pattern_of(value: Any) -> Any:
    """A pattern that asks for all that is in `value`; of arrays, for their first elements."""
    if isinstance(value, list):
        return pattern_of(value[0])
    if isinstance(value, dict):
        return {key: pattern_of(part) for key, part in value.items()}
    return [value]


def spoilt(pattern: Any) -> Any:
    """`pattern` with what no event has in place of the first scalar that it asks for."""
    if isinstance(pattern, list):
        return ["in no event"]
    first = next(iter(pattern))
    return {**pattern, first: spoilt(pattern[first])}


@given(full_events)
def test_a_pattern_made_of_an_event_matches_it(event: dict[str, Any]) -> None:
    pattern = pattern_of(event)
    assert matches(json.dumps(pattern), json.dumps(event))
    assert Pattern.compile(json.dumps(pattern)).matches(event)
    assert not matches(json.dumps(spoilt(pattern)), json.dumps(event))


@given(
    st.lists(st.sampled_from(["x", "y", "5", ""]), min_size=1)
    | st.lists(st.sampled_from([5, 5.0, -1]), min_size=1),
    scalars | st.sampled_from(["x", "y", "5", "", 5, 5.0, -1]),
)
def test_anything_but_is_the_complement_of_its_list(listed: list[Any], value: Any) -> None:
    event = json.dumps({"a": value})
    listing = json.dumps({"a": listed})
    excluding = json.dumps({"a": [{"anything-but": listed}]})
    assert matches(excluding, event) is not matches(listing, event)


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=4), events)
def test_exists_true_and_false_are_complements(path: list[str], event: dict[str, Any]) -> None:
    pattern = "".join(f'{{"{key}":' for key in path) + '[{"exists":true}]' + "}" * len(path)
    there = matches(pattern, json.dumps(event))
    assert matches(pattern.replace("true", "false"), json.dumps(event)) is not there


@given(st.integers(), st.integers(), st.integers())
def test_a_range_is_both_of_its_bounds(low: int, high: int, value: int) -> None:
    if low >= high:
        low, high = high, low + 1
    event = json.dumps({"a": value})

    def holds(*bounds: Any) -> bool:
        return matches(json.dumps({"a": [{"numeric": bounds}]}), event)

    assert holds(">", low, "<=", high) is (low < value <= high)
    assert holds(">=", low, "<", high) is (holds(">=", low) and holds("<", high))
    assert holds("=", low) is (value == low)


@given(json_values | full_events.map(pattern_of), json_values | events)
def test_compiling_refuses_and_matching_answers_whatever_json_says(
    pattern: Any, event: Any
) -> None:
    try:
        compiled = Pattern.compile(json.dumps(pattern))
    except InvalidPattern:
        return
    assert compiled.matches(event) in (True, False)
    assert compiled.matches(load(json.dumps(event))) in (True, False)


@given(st.text() | st.text('{}[]":,$or1e-true', max_size=40))
def test_compiling_refuses_whatever_text(text: str) -> None:
    try:
        compiled = Pattern.compile(text)
    except InvalidPattern:
        return
    assert compiled.text == text
