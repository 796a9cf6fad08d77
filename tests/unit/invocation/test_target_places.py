"""Places for deliveries: of a target, and of the neighbour that it belongs to."""

from __future__ import annotations

from samovar.invocation.target_places import TargetPlaces

SQS = "arn:aws:sqs:us-east-1:000000000000:"
OWN = "arn:aws:lambda:us-east-1:000000000000:function:"
SNS = "arn:aws:sns:us-east-1:000000000000:t"


def test_a_target_has_its_own_and_no_more() -> None:
    places = TargetPlaces(3, 5, [].append, OWN)
    assert places.take(f"{SQS}a", 2) == 2
    assert places.take(f"{SQS}a", 2) == 1
    assert places.take(f"{SQS}a", 2) == 0
    assert places.take(f"{SQS}b", 9) == 2  # the neighbour's are taken
    assert places.take(SNS, 9) == 3  # and another neighbour has its own


def test_who_was_refused_for_the_neighbour_s_sake_asks_again_in_turn() -> None:
    told: list[str] = []
    places = TargetPlaces(2, 2, told.append, OWN)
    assert places.take(f"{SQS}a", 2) == 2
    for name in "bc":
        assert places.take(f"{SQS}{name}", 1) == 0
    assert told == []
    places.give_back(f"{SQS}a", 1)
    assert told == [f"{SQS}b"]
    assert places.take(f"{SQS}b", 1) == 1
    places.give_back(f"{SQS}a", 1)
    assert told == [f"{SQS}b", f"{SQS}c"]
    places.give_back(f"{SQS}b", 1)
    assert places.take(f"{SQS}d", 2) == 2  # what is free is nobody's


def test_own_functions_wait_for_no_lambda_elsewhere() -> None:
    places = TargetPlaces(2, 3, [].append, OWN)
    for account in ("1", "2"):
        places.take(OWN.replace("000000000000", account * 12) + "f", 2)
    assert places.take("arn:aws:lambda:eu-west-1:000000000000:function:f", 2) == 0
    assert places.take(f"{OWN}f", 2) == 2
    assert places.take(f"{OWN}g", 2) == 1
    places.give_back(f"{OWN}f", 1)
    assert places.take(f"{OWN}g", 2) == 1
