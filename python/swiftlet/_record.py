# SPDX-License-Identifier: Apache-2.0
"""Results of the library, which come as JSON."""

from __future__ import annotations

import json
from typing import Any, Dict, List


class Record(Dict[str, Any]):
    """A JSON object: a dict whose entries are attributes too, in Python's spelling, so that
    `result["after"]["fileBytes"]` is `result.after.file_bytes`. What was not measured is not
    there: `result.get("agreement")`."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in self:
            return self[name]
        first, *others = name.split("_")
        key = first + "".join(other.capitalize() for other in others)
        if key in self:
            return self[key]
        raise AttributeError(f"the result has no '{name}': it has {', '.join(dir(self))}")

    def __dir__(self) -> List[str]:
        return sorted(_snake(key) for key in self)


def _snake(key: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in key)


def record(text: str) -> Record:
    """The content of a JSON document."""
    result: Record = json.loads(text, object_hook=Record)
    return result
