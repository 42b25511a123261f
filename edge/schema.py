"""The JSON Schema of the plant file, for editors: `python -m edge.schema > plant.schema.json`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any, Final

from pydantic import BaseModel

from edge.config import SAID, PlantEntry
from edge.detectors import detector_names
from edge.detectors import load as load_detector
from edge.drivers import driver_names, load
from edge.templates import PARAMETERS, TEMPLATE

_TEMPLATE: Final = "#/$defs/{model}"


def plant_schema() -> dict[str, Any]:
    """Return the schema with all drivers and detectors in it; the parts of each are named `driver.Part`."""
    schema = PlantEntry.model_json_schema(ref_template=_TEMPLATE)
    detectors = [{"$ref": _add(schema, load_detector(name).Options, f"{name}.Detector")} for name in detector_names()]
    choices = []
    for name in driver_names():
        reference = _add(schema, load(name).Entry, f"{name}.Entry", required=("driver",))
        schema["$defs"].pop(f"{name}.DetectorEntry", None)
        entry = schema["$defs"][f"{name}.Entry"]
        entry["properties"]["detectors"]["items"] = {"oneOf": detectors}
        entry["anyOf"] = [{"required": [key]} for key in SAID if key in entry["properties"]]
        choices.append({"$ref": reference})
    schema["$defs"]["TemplateUse"] = {
        "description": "a machine that takes over a template; its own keys go before",
        "type": "object",
        "properties": {TEMPLATE: {"type": "string"}, PARAMETERS: {"type": "object"}},
        "required": [TEMPLATE],
    }
    choices.append({"$ref": "#/$defs/TemplateUse"})
    schema["$defs"]["LineEntry"]["properties"]["machines"]["additionalProperties"] = {"oneOf": choices}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "shopfloor plant file"} | schema


def _add(schema: dict[str, Any], model: type[BaseModel], name: str, required: Iterable[str] = ()) -> str:
    """Add a model to a schema, with its parts as `prefix.Part`; return the reference to it."""
    prefix = name.partition(".")[0]
    body = model.model_json_schema(ref_template=f"#/$defs/{prefix}.{{model}}")
    for part, inner in body.pop("$defs", {}).items():
        schema["$defs"][f"{prefix}.{part}"] = inner
    if required:
        body["required"] = sorted({*body.get("required", ()), *required})
    schema["$defs"][name] = body
    return f"#/$defs/{name}"


if __name__ == "__main__":
    json.dump(plant_schema(), sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")
