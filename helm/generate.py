"""Writes what follows from elsewhere in the chart: settings in its values and schema, version, README.

`python helm/generate.py` writes; with `--check` it names the files that are out of date and exits with 1.
"""

import json
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import yaml

CHART: Final = Path(__file__).resolve().parent / "enrolment-worker"
sys.path.insert(0, str(CHART.parents[1]))

from pydantic.fields import FieldInfo  # noqa: E402 - the project's own packages are found from here on

from worker.settings.model import GROUPS, Settings  # noqa: E402
from worker.settings.naming import is_secret  # noqa: E402

OTHER_DEFAULTS: Final = {"state_dir": "/var/lib/enrolment-worker"}
"""Where the chart's default is not the worker's: a container has one place to write to."""
_MODEL: Final = Settings.model_json_schema()
_BLOCK: Final = re.compile(r"^( *)# >>> .*\n(?:.*\n)*?\1# <<<\n", re.MULTILINE)


def camel(field: str) -> str:
    """Return the name of a setting among the values."""
    first, *rest = field.split("_")
    return first + "".join(part.capitalize() for part in rest)


def default(field: str, info: FieldInfo) -> Any:  # noqa: ANN401 - what YAML holds
    """Return the default that the values show: empty where the worker has none or leaves it out."""
    if field in OTHER_DEFAULTS:
        return OTHER_DEFAULTS[field]
    shape = schema_of(field)
    if info.is_required() or info.default is None:
        return {"array": [], "string": ""}.get(shape["type"] if isinstance(shape["type"], str) else "")
    value = json.loads(json.dumps(info.default, default=list))
    return _whole(value)


def schema_of(field: str) -> dict[str, Any]:
    """Return the JSON schema of a setting among the values; what may be left out may be empty or null."""
    found: dict[str, Any] = _MODEL["properties"][field]
    info = Settings.model_fields[field]
    optional = "anyOf" in found
    found = found["anyOf"][0] if optional else found
    if "$ref" in found:
        found = _MODEL["$defs"][found["$ref"].rsplit("/", 1)[1]]
    kept = {key: found[key] for key in sorted(found.keys() & _KEPT)}
    if optional or info.is_required():
        return _emptiable(kept)
    if kept["type"] == "array" and "prefixItems" not in found and info.default:
        kept["minItems"] = 1
    return kept


_KEPT: Final = {
    *("type", "enum", "pattern", "maxLength", "items", "uniqueItems", "minItems", "maxItems"),
    *("minimum", "maximum", "exclusiveMinimum"),
}


def _emptiable(shape: dict[str, Any]) -> dict[str, Any]:
    if shape["type"] == "integer":
        return shape | {"type": ["integer", "null"]}
    if "enum" in shape:
        return shape | {"enum": ["", *shape["enum"]]}
    if "pattern" in shape:
        return shape | {"pattern": f"{shape['pattern']}|^$"}
    return {key: value for key, value in shape.items() if key != "minItems"}


def _whole(value: Any) -> Any:  # noqa: ANN401 - what YAML holds
    if isinstance(value, list):
        return [_whole(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def settings() -> Iterator[tuple[str, FieldInfo]]:
    """Yield the settings that are no secrets, in the order of the help."""
    return ((field, info) for field, info in _fields() if not is_secret(info))


def secrets() -> Iterator[tuple[str, FieldInfo]]:
    """Yield the secret settings, in the order of the help."""
    return ((field, info) for field, info in _fields() if is_secret(info))


def _fields() -> Iterator[tuple[str, FieldInfo]]:
    return ((field, info) for group in GROUPS for field, info in group.model_fields.items())


def values_text(text: str) -> str:
    """Return the values file with its blocks of settings and secrets as the model has them."""
    blocks = iter([list(_settings_block()), list(_secrets_block()), list(_secrets_block())])

    def filled(block: re.Match[str]) -> str:
        first, *_, last = block[0].splitlines()
        return "\n".join([first, *(block[1] + line for line in next(blocks)), last]) + "\n"

    return _BLOCK.sub(filled, text)


def _settings_block() -> Iterator[str]:
    for group in GROUPS:
        yield f"## {group.title}"
        for field, info in group.model_fields.items():
            if not is_secret(info):
                required = " (required)" if info.is_required() else ""
                yield f"# {_sentence(info)}{required}."
                yield f"{camel(field)}: {_inline(default(field, info))}"


def _secrets_block() -> Iterator[str]:
    for field, info in secrets():
        yield f"# {_sentence(info)}."
        yield f'{camel(field)}: ""'


def _sentence(info: FieldInfo) -> str:
    return (info.description or "").rstrip(".")


def _inline(value: Any) -> str:  # noqa: ANN401 - what YAML holds
    return "null" if value is None else json.dumps(value)


def schema_text(text: str) -> str:
    """Return the schema with settings and secrets as the model has them."""
    schema = json.loads(text)
    properties = schema["properties"]
    properties["settings"]["properties"] = {camel(field): schema_of(field) for field, _ in settings()}
    for part in ("keys", "values"):
        secret = properties["secrets"]["properties"][part]
        secret["properties"] = {camel(field): {"type": "string"} for field, _ in secrets()}
    return json.dumps(schema, indent=2) + "\n"


def chart_text(text: str) -> str:
    """Return Chart.yaml with the project's version: chart and worker are released together."""
    project = tomllib.loads((CHART.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = re.sub(r"^version: .*$", f"version: {project['version']}", text, flags=re.MULTILINE)
    return re.sub(r"^appVersion: .*$", f'appVersion: "{project["version"]}"', text, flags=re.MULTILINE)


def readme_text(values: str) -> str:
    """Return the chart's README: what it makes, and every value with its default and description."""
    defaults = yaml.safe_load(values)
    rows = "\n".join(
        f"| `{path}` | `{_inline(_at(defaults, path))}` | {description.replace('<', '&lt;')} |"
        for path, description in described(values)
    )
    head = (CHART / "README.head.md").read_text(encoding="utf-8")
    return f"{head}\n## Values\n\n| value | default | |\n| --- | --- | --- |\n{rows}\n"


def described(values: str) -> Iterator[tuple[str, str]]:
    """Yield the path and the description of each value that has a comment above it."""
    above: list[str] = []
    path: list[tuple[int, str]] = []
    for line in values.splitlines():
        stripped = line.strip()
        if re.match(r"# (>>>|<<<)|## ", stripped) or not stripped:
            above = []
        elif stripped.startswith("#"):
            above.append(stripped.removeprefix("#").strip())
        elif key := re.match(r"( *)([A-Za-z]\w*):", line):
            depth = len(key[1])
            path = [*((indent, name) for indent, name in path if indent < depth), (depth, key[2])]
            if above:
                yield ".".join(name for _, name in path), " ".join(above)
            above = []


def _at(values: Any, path: str) -> Any:  # noqa: ANN401 - what YAML holds
    for name in path.split("."):
        values = values[name]
    return {} if isinstance(values, dict) and path in _SECTIONS else values


_SECTIONS: Final = frozenset({"settings", "secrets.keys", "secrets.values"})


def outdated() -> Iterator[tuple[Path, str]]:
    """Yield each file that is not as it would be written, with what it should hold."""
    values = values_text((CHART / "values.yaml").read_text(encoding="utf-8"))
    wanted: Iterable[tuple[str, str]] = (
        ("Chart.yaml", chart_text((CHART / "Chart.yaml").read_text(encoding="utf-8"))),
        ("values.yaml", values),
        ("values.schema.json", schema_text((CHART / "values.schema.json").read_text(encoding="utf-8"))),
        ("README.md", readme_text(values)),
    )
    for name, text in wanted:
        path = CHART / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            yield path, text


def main() -> None:
    """Write, or with --check only say, what is out of date."""
    check = sys.argv[1:] == ["--check"]
    late = list(outdated())
    for path, text in late:
        if not check:
            path.write_text(text, encoding="utf-8")
    if check and late:
        names = ", ".join(str(path.relative_to(CHART.parents[1])) for path, _ in late)
        sys.exit(f"out of date: {names}; run `make chart`")


if __name__ == "__main__":
    main()
