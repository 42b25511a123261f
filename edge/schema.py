"""The JSON Schema of the plant file, for editors: `python -m edge.schema > plant.schema.json`."""

from __future__ import annotations

import json
import sys
from typing import Any, Final

from edge.config import PlantEntry
from edge.drivers import driver_names, load

_TEMPLATE: Final = "#/$defs/{model}"


def plant_schema() -> dict[str, Any]:
    """Return the schema with all drivers in it; each driver's own parts are named `driver.Part`."""
    schema = PlantEntry.model_json_schema(ref_template=_TEMPLATE)
    choices = []
    for name in driver_names():
        entry = load(name).Entry.model_json_schema(ref_template=f"#/$defs/{name}.{{model}}")
        for part, body in entry.pop("$defs", {}).items():
            schema["$defs"][f"{name}.{part}"] = body
        entry["required"] = sorted({*entry.get("required", ()), "driver", "signals"})
        schema["$defs"][f"{name}.Entry"] = entry
        choices.append({"$ref": f"#/$defs/{name}.Entry"})
    schema["$defs"]["LineEntry"]["properties"]["machines"]["additionalProperties"] = {"oneOf": choices}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "shopfloor plant file"} | schema


if __name__ == "__main__":
    json.dump(plant_schema(), sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")
