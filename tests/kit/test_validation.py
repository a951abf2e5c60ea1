"""What is wrong is told in plain sentences: not one kind of pydantic's errors comes through in its own words."""

from __future__ import annotations

import re
from typing import Annotated, Any, get_args

import pytest
from pydantic import BeforeValidator, Field
from pydantic_core import PydanticKnownError, core_schema
from pydantic_core._pydantic_core import list_all_errors

from portal.booking.forms import MoneyWire
from portal.kit.errors import Invalid
from portal.kit.validation import KINDS, Wire, parse
from portal.search.forms import SearchQuery
from portal.staff.forms import CreditWish
from portal.tariffs.forms import PromotionWish

RAW = re.compile(r"(?i)\binput\b|should|string|valid|pars|literal|python|pydantic|\bnone\b|[\\\\{}^$]")
EVERY = [one for one in list_all_errors() if one["type"] not in ("value_error", "assertion_error")]


def _refuse(given: Any) -> Any:
    kind, context = given
    raise PydanticKnownError(kind, context)


class AnyWrong(Wire):
    """A form whose only field is wrong in the way that is asked for."""

    field: Annotated[Any, BeforeValidator(_refuse)]


def told(model: type[Wire], given: Any) -> dict[str, str]:
    with pytest.raises(Invalid) as no:
        parse(model, given)
    return {one.pointer: one.detail for one in no.value.errors}


def test_every_kind_is_known_to_be_pydantic_s_own() -> None:
    assert {one["type"] for one in list_all_errors()} == set(get_args(core_schema.ErrorType)) == KINDS | {"value_error"}


@pytest.mark.parametrize("kind", EVERY, ids=lambda one: str(one["type"]))
def test_no_kind_of_error_comes_through_in_the_words_of_pydantic(kind: Any) -> None:
    said = told(AnyWrong, {"field": (kind["type"], kind["example_context"])})["field"]
    assert not RAW.search(said), said
    assert re.fullmatch(r"[A-Z].*\.", said)


class Shapes(Wire):
    """A field of each shape whose sentence is made of what is asked for."""

    low: int = Field(1, ge=1)
    high: int = Field(1, le=9)
    more: int = Field(1, gt=0)
    less: int = Field(1, lt=5)
    code: str = Field("JFK", pattern="^[A-Z]{3}$")
    odd: str = Field("", pattern="^(#!)+$")
    long: str = Field("", max_length=3)
    short: str = Field("abc", min_length=3)


@pytest.mark.parametrize(
    ("field", "given", "words"),
    [
        ("low", 0, "Please give 1 or more."),
        ("high", 10, "Please give 9 or less."),
        ("more", 0, "Please give more than 0."),
        ("less", 5, "Please give less than 5."),
        ("code", "abc", "Please give a code of three letters."),
        ("odd", "abc", "This is not written as it can be."),
        ("long", "abcd", "This is too long."),
        ("short", "ab", "This is too short."),
    ],
)
def test_a_sentence_says_what_would_fit(field: str, given: Any, words: str) -> None:
    assert told(Shapes, {field: given}) == {field: words}


SEARCH = {"origin": "JFK", "destination": "LAX", "departureDate": "2027-03-01"}
CREDIT = {"email": "anna@example.com", "amount": "50"}
PROMOTION = {"code": "TEN", "label": "Ten", "kind": "percent", "amount": "10", "saleFrom": "2027-03-01"}


@pytest.mark.parametrize(
    ("model", "given", "words"),
    [
        (SearchQuery, {**SEARCH, "adults": "0"}, "Please give 1 or more."),
        (SearchQuery, {**SEARCH, "children": "-1"}, "Please give 0 or more."),
        (SearchQuery, {**SEARCH, "infants": "99"}, "Please give 9 or less."),
        (SearchQuery, {**SEARCH, "maxStops": "9"}, "Please give 1 or less."),
        (SearchQuery, {**SEARCH, "cabin": "zzz"}, "Please choose one of these: economy, premium, business, first."),
        (SearchQuery, {**SEARCH, "origin": "J"}, "Please give a code of three letters."),
        (CreditWish, {**CREDIT, "amount": "abc"}, "Please give an amount, such as 450 or 1,234.50."),
        (CreditWish, {**CREDIT, "email": "nobody"}, "Please write this like anna@example.com."),
        (PromotionWish, {**PROMOTION, "amount": "?"}, "Please give an amount, such as 450 or 1,234.50."),
        (PromotionWish, {**PROMOTION, "currency": "usd"}, "Please give a code of three letters."),
        (MoneyWire, {"amount": "abc", "currency": "USD"}, "Please give an amount, such as 450 or 1,234.50."),
    ],
)
def test_the_portal_s_own_forms_say_what_would_fit(model: type[Wire], given: dict[str, str], words: str) -> None:
    assert list(told(model, given).values()) == [words]
