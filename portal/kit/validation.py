"""Untrusted input → a typed command, for pages and API alike: one pydantic model, one list of plain sentences."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias, TypeVar, cast, get_args

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, ValidationError, ValidationInfo
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from portal.kit.errors import FieldError, Invalid
from portal.kit.i18n import gettext as _

T = TypeVar("T", bound=BaseModel)
NO_CHARACTER = re.compile("[\0\ud800-\udfff]")
DEEPEST = 20
JSON = "json"
# A text of each shape that is asked for by a pattern, the amount first.
EXAMPLES = ("1234.50", "2027-03", "12A", "JFK", "anna@example.com")
KINDS = frozenset(get_args(core_schema.ErrorType)) - {"value_error"}
BOUNDED = {"greater_than_equal": "ge", "less_than_equal": "le", "greater_than": "gt", "less_than": "lt"}
Check: TypeAlias = Callable[[Any, ValidationInfo], Any]


def _strengthen(node: Any, owner: type) -> None:
    """Put a check before every date, number and truth of the owner's own fields; other models have theirs already."""
    for key, inner in list(node.items() if isinstance(node, dict) else enumerate(node)):
        if key in ("metadata", "serialization") or not isinstance(inner, dict | list):
            continue
        kind = inner.get("type") if isinstance(inner, dict) else None
        if isinstance(kind, str) and kind in CHECKS:
            node[key] = core_schema.with_info_before_validator_function(CHECKS[kind], cast(CoreSchema, inner))
        elif kind != "model" or cast(Any, inner)["cls"] is owner:
            _strengthen(inner, owner)


def _written(pattern: re.Pattern[str]) -> Check:
    def check(given: Any, _: ValidationInfo) -> Any:
        if isinstance(given, int | float) or (isinstance(given, str) and not pattern.match(given.strip())):
            raise PydanticCustomError("date_type", "not written as a date")
        return given

    return check


def _whole(given: Any, info: ValidationInfo) -> Any:
    if info.context == JSON and (isinstance(given, bool | str)):
        raise PydanticCustomError("int_type", "not a whole number")
    return given


def _truth(given: Any, info: ValidationInfo) -> Any:
    if info.context == JSON and not isinstance(given, bool):
        raise PydanticCustomError("bool_type", "neither true nor false")
    return given


CHECKS: Mapping[str, Check] = {
    "date": _written(re.compile(r"\d{4}-\d\d-\d\d$")),
    "datetime": _written(re.compile(r"\d{4}-\d\d-\d\d")),
    "int": _whole,
    "bool": _truth,
}


class Wire(BaseModel):
    """Base of everything that crosses a door: camelCase outside, snake_case inside, frozen, unknown fields refused.

    A date is one that is written as a date, and in JSON a whole number is a number: no kindness of pydantic's that our
    own schema does not tell (it takes "0" for 1970, and false for nought).
    """

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid", str_strip_whitespace=True
    )

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return pydantic's own schema with our checks before what it would take too kindly."""
        made = handler(source)
        _strengthen(handler.resolve_ref_schema(made), cls)
        return made

    def wire(self) -> dict[str, Any]:
        """Return the JSON form."""
        return self.model_dump(mode="json", by_alias=True)


def parse(model: type[T], given: Any, *, context: str | None = None) -> T:
    """Return `given` as `model`; raises Invalid, naming each wrong field by its path, in plain sentences.

    With the context JSON numbers and truths are not read out of texts, as they are for forms and queries.
    """
    if unspeakable := list(_unspeakable(given, "")):
        raise Invalid(errors=[FieldError(path, _("Please use characters that can be typed.")) for path in unspeakable])
    try:
        return model.model_validate(given, context=context)
    except ValidationError as wrong:
        raise Invalid(errors=[_field_error(error) for error in wrong.errors(include_url=False)]) from None


def speakable(given: Any) -> bool:
    """Return whether every text in it is of characters that PostgreSQL and UTF-8 take, and its nesting has an end."""
    return not any(_unspeakable(given, ""))


def _unspeakable(given: Any, path: str) -> Iterator[str]:
    """Yield where a text holds what is no character (PostgreSQL and UTF-8 refuse it) or the nesting has no end."""
    if isinstance(given, str):
        if NO_CHARACTER.search(given):
            yield path
    elif path.count(".") > DEEPEST:
        yield path
    elif isinstance(given, Mapping):
        for name, inner in given.items():
            yield from [path] if NO_CHARACTER.search(str(name)) else _unspeakable(inner, f"{path}.{name}".lstrip("."))
    elif isinstance(given, list):
        for number, inner in enumerate(given):
            yield from _unspeakable(inner, f"{path}.{number}".lstrip("."))


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Return a form's flat names as a tree: `passengers.0.givenName` → `{"passengers": [{"givenName": …}]}`.

    Empty fields count as not given. Lists are made where the names at one level are all numbers.
    """
    tree: dict[str, Any] = {}
    for name, value in flat.items():
        if value == "" or name.startswith("_"):
            continue
        _plant(tree, name.split("."), value)
    return {name: _lists(value) for name, value in tree.items()}


def _plant(tree: dict[str, Any], path: list[str], value: Any) -> None:
    for step in path[:-1]:
        inner = tree.setdefault(step, {})
        if not isinstance(inner, dict):
            return
        tree = inner
    tree[path[-1]] = value


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value and all(key.isdecimal() and len(key) <= 3 for key in value):
        return [_lists(value[key]) for key in sorted(value, key=int)]
    return {key: _lists(inner) for key, inner in value.items()}


def _field_error(error: Any) -> FieldError:
    pointer = ".".join(str(step) for step in error["loc"])
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] not in KINDS:  # Our own words: what a check of a model raised.
        return FieldError(pointer, message if message.endswith(".") else f"{message}.")
    return FieldError(pointer, _sentence(error["type"], error.get("ctx") or {}))


def _sentence(kind: str, context: Mapping[str, Any]) -> str:
    """Return what a person is told for pydantic's kind of error, in the reader's language; never pydantic's words."""
    if kind in BOUNDED:
        return _bounded(kind, context)
    if kind == "string_pattern_mismatch":
        return _unlike(str(context.get("pattern", "")))
    if kind in ("literal_error", "enum"):
        return _one_of(str(context.get("expected", "")))
    if kind == "string_too_short" and context.get("min_length", 1) > 1:
        return _("This is too short.")
    return _said().get(kind) or _of_family(kind)


def _bounded(kind: str, context: Mapping[str, Any]) -> str:
    words = {
        "greater_than_equal": _("Please give %(number)s or more."),
        "less_than_equal": _("Please give %(number)s or less."),
        "greater_than": _("Please give more than %(number)s."),
        "less_than": _("Please give less than %(number)s."),
    }[kind]
    return words % {"number": context.get(BOUNDED[kind], "")}


def _unlike(pattern: str) -> str:
    """Return the sentence for a text that fits no pattern, with an example that does, where we have one."""
    like = next((one for one in EXAMPLES if re.search(pattern, one)), None)
    if like == EXAMPLES[0]:
        return _("Please give an amount, such as 450 or 1,234.50.")
    if like == "JFK":  # Airports and currencies alike.
        return _("Please give a code of three letters.")
    return (
        _("Please write this like %(example)s.") % {"example": like} if like else _("This is not written as it can be.")
    )


def _one_of(expected: str) -> str:
    names = re.findall("'([^']*)'", expected)
    return (
        _("Please choose one of these: %(names)s.") % {"names": ", ".join(names)} if names else _("Please choose one.")
    )


def _of_family(kind: str) -> str:
    """Return what is said of a kind that has no words of its own, by what it begins with."""
    family = kind.partition("_")[0]
    return {
        "date": _("Please give a date, such as 2027-03-01."),
        "datetime": _("Please give a date and a time, such as 2027-03-01T08:30:00Z."),
        "timezone": _("Please give a date and a time, such as 2027-03-01T08:30:00Z."),
        "time": _("Please give a time of day, such as 08:30."),
        "int": _("Please give a whole number."),
        "float": _("Please give a number."),
        "decimal": _("Please give a number."),
        "bool": _("Please say true or false."),
        "list": _("Please give a list."),
        "tuple": _("Please give a list."),
        "url": _("Please give a web address, such as https://example.com."),
        "uuid": _("Please give an id as we wrote it."),
        "string": _("Please give a text."),
    }.get(family) or _("This does not fit here. Please look at it again.")


def _said() -> Mapping[str, str]:
    return {
        "missing": _("Please fill this in."),
        "string_too_short": _("Please fill this in."),
        "string_too_long": _("This is too long."),
        "url_too_long": _("This is too long."),
        "too_short": _("Please give more of these."),
        "too_long": _("These are too many."),
        "finite_number": _("Please give a number."),
        "extra_forbidden": _("This field is not known here."),
    }
