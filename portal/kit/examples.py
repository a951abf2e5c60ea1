"""A believable value for a JSON schema: what the API's description shows, and what its readers may paste."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEEPEST = 12
SAMPLES = {
    "email": "robin@example.com",
    "date": "2027-03-01",
    "date-time": "2027-03-01T08:00:00Z",
    "time": "08:30",
    "uuid": "3f0c5c3e-6a5e-4a0e-9d57-0f4c6ad1b2ce",
    "uri": "https://portal.example/",
}
NAMES = {
    "origin": "JFK",
    "destination": "LAX",
    "currency": "USD",
    "amount": "123.45",
    "reference": "K7QX2M",
    "familyName": "Wood",
    "lastName": "Wood",
    "givenName": "Robin",
    "firstName": "Robin",
    "phone": "+12125550123",
    "code": "JFK",
    "email": "robin@example.com",
    "dateOfBirth": "1990-05-01",
    "offerId": "eyJ2IjozLCJzIjpbMTAxXX0.aRk3Zw.hT0yQ2m8nq4",
    "offerIds": "eyJ2IjozLCJzIjpbMTAxXX0.aRk3Zw.hT0yQ2m8nq4",
    "token": "IjRmYjYi.aRk3Zw.k8Vh0x3Nf2Q",
    "refreshToken": "uT9c0Yw3sQhV5rX1",
    "newPassword": "another quiet morning",
    "currentPassword": "a quiet blue morning",
    "label": "Summer sale",
    "departureLocal": "2027-03-01T08:00:00",
    "arrivalLocal": "2027-03-01T11:15:00",
    "number": "R-2027-000042",
    "timeZone": "America/New_York",
    "requestId": "5tZq9mA0c1",
    "reason": "Fog at the airport",
    "aircraft": "A320",
    "seat": "14C",
    "minimum": "100.00",
    "cap": "50.00",
    "password": "a quiet blue morning",
    "confirmPassword": "a quiet blue morning",
    "name": "Robin Wood",
    "city": "New York",
    "country": "US",
}
Schemas = Mapping[str, Any]


def sample(schemas: Schemas, schema: Schemas, name: str = "", depth: int = 0, *, whole: bool = False) -> Any:
    """Return a value that fits the schema, believable where its name, format or own example says what it is.

    Of an object only what must be there and what has an example of its own, or with `whole` every field.
    """
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    if "$ref" in schema:
        return sample(schemas, schemas[str(schema["$ref"]).rsplit("/", 1)[-1]], name, depth + 1, whole=whole)
    if "const" in schema:
        return schema["const"]
    if schema.get("default") not in (None, [], {}) and not whole:
        return schema["default"]
    return _made(schemas, schema, name, depth, whole=whole)


def _made(schemas: Schemas, schema: Schemas, name: str, depth: int, *, whole: bool) -> Any:
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return None if depth > DEEPEST else sample(schemas, choices[0], name, depth + 1, whole=whole)
    if schema.get("type") == "array":
        return _list(schemas, schema, name, depth, whole=whole)
    if schema.get("type") == "object":
        return _object(schemas, schema, depth, whole=whole)
    if schema.get("type") in ("integer", "number"):
        return max(1, schema.get("minimum", 1))
    plain: dict[str, Any] = {"boolean": True, "null": None}
    kind = str(schema.get("type"))
    return plain[kind] if kind in plain else NAMES.get(name) or SAMPLES.get(schema.get("format", ""), "…")


def _list(schemas: Schemas, schema: Schemas, name: str, depth: int, *, whole: bool) -> list[Any]:
    if depth > DEEPEST:
        return []
    if "prefixItems" in schema:
        return [sample(schemas, one, name, depth + 1, whole=whole) for one in schema["prefixItems"]]
    return [sample(schemas, schema.get("items", {}), name, depth + 1, whole=whole)]


def _object(schemas: Schemas, schema: Schemas, depth: int, *, whole: bool) -> dict[str, Any]:
    required, shapes = schema.get("required", ()), schema.get("properties", {})
    shown = [name for name in shapes if whole or name in required or shapes[name].get("examples")]
    found = {name: sample(schemas, shapes[name], name, depth + 1, whole=whole) for name in shown}
    if not shapes and isinstance(schema.get("additionalProperties"), dict) and whole:
        key = schema.get("propertyNames", {}).get("enum", ["name"])[0]
        found[key] = sample(schemas, schema["additionalProperties"], key, depth + 1, whole=whole)
    return found
