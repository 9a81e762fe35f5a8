"""The API's own document, for tests that go through all routes: a new one is tested without being named."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parents[3] / "actors" / "rest" / "tests" / "golden" / "openapi.json"
# Optional keys that point at other things, and what an order needs to come so far.
WANTED = ("configuration", "instance", "volume")


@dataclass(frozen=True)
class Operation:
    method: str
    # With names in braces.
    path: str
    described: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def body(self, given: dict[str, str]) -> Any:
        """The least body that passes the check of its shape, with these texts under these keys; None without one."""
        if "requestBody" not in self.described:
            return None
        return _least("", self.described["requestBody"]["content"]["application/json"]["schema"], given)


def operations() -> list[Operation]:
    """Of the golden file, which is what the code serves."""
    paths = json.loads(GOLDEN.read_text())["paths"]
    return [
        Operation(method.upper(), path, told) for path, methods in paths.items() for method, told in methods.items()
    ]


def _least(key: str, schema: dict[str, Any], given: dict[str, str]) -> Any:
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            return _least_object(schema, given)
        case "array":
            return [_least(key, schema["items"], given)]
        case "string" if schema.get("format") == "uuid":
            return given.get(key, "00000000-0000-4000-8000-000000000000")
        case "string":
            return given.get(key, "x1")
        case "integer" | "number":
            return max(schema.get("minimum", 1), 1) if schema.get("maximum", 1) >= 1 else 0
        case "boolean":
            return True
        case _ if "anyOf" in schema:
            return _least(key, schema["anyOf"][0], given)
        case _:
            return None


def _least_object(schema: dict[str, Any], given: dict[str, str]) -> dict[str, Any]:
    properties = schema.get("properties", {})
    keys = list(schema.get("required", []))
    # One of several sets of keys.
    keys += schema.get("anyOf", [{}])[0].get("required", [])
    keys += [key for key in WANTED if key in properties and key not in keys]
    if not keys and schema.get("minProperties"):
        keys = [next(iter(properties))]
    return {key: _least(key, properties.get(key, {}), given) for key in keys}
