# SPDX-License-Identifier: Apache-2.0
"""Arguments of compress() and evaluate() as the fields of the library's options."""

from __future__ import annotations

import json
import os
from ctypes import c_char_p
from typing import Any, Dict, Mapping, Optional, Sequence, Union

import numpy as np

from ._data import Path
from ._library import CompressOptions, Extent


def encoded_text(value: Optional[str]) -> Optional[bytes]:
    return value.encode() if value else None


def encoded_path(path: Optional[Path]) -> Optional[bytes]:
    return None if path is None else os.fsencode(path)


def whole(value: int, name: str, limit: int, least: int = 0) -> int:
    """Checks a number: ctypes would cut off what is too large."""
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}: pass a whole number")
    if not least <= value < limit:
        raise ValueError(f"{name} is {value}: pass {least} to {limit - 1}")
    return int(value)


def set_common(options: Any, threads: int, data_directory: Optional[Path],
            preprocess: Optional[Path], outputs: Sequence[str]) -> None:
    options.threads = whole(threads, "threads", 1025)
    options.data_directory = encoded_path(data_directory)
    options.preprocess = encoded_path(preprocess)
    if isinstance(outputs, str):
        outputs = [outputs]
    names = (c_char_p * len(outputs))(*(name.encode() for name in outputs))
    options.outputs, options.output_count = names, len(outputs)


def set_source(options: Any, skip_damaged: bool, loader_memory: Optional[int],
            extents: Optional[Mapping[str, int]]) -> None:
    if not isinstance(skip_damaged, (bool, np.bool_)):
        raise TypeError(f"skip_damaged is {skip_damaged!r}: pass True or False")
    options.skip_damaged = bool(skip_damaged)
    if loader_memory is not None:
        options.loader_memory = whole(loader_memory, "loader_memory", 2**63, least=1)
    if extents is None:
        return
    if not isinstance(extents, Mapping) or not all(isinstance(name, str) for name in extents):
        raise TypeError(f"extents is {extents!r}: pass numbers by names, such as {{'height': 224}}")
    sizes = [Extent(name.encode(), whole(size, f"extents[{name!r}]", 2**24 + 1, least=1))
             for name, size in extents.items()]
    options.extents, options.extent_count = (Extent * len(sizes))(*sizes), len(sizes)


def technique_names(technique: Union[str, Sequence[str], None]) -> Optional[str]:
    if technique is None or isinstance(technique, str):
        return technique
    if not all(isinstance(name, str) for name in technique):
        raise TypeError(f"technique is {technique!r}: pass a name or a list of names")
    return ",".join(technique)


def check_choice(recipe: Optional[str], technique: Optional[str], preset: Optional[str],
            settings: Dict[str, Any]) -> None:
    given = [name for name, value in (("recipe", recipe), ("technique", technique),
                                      ("preset", preset)) if value is not None]
    if len(given) != 1:
        raise TypeError(f"{' and '.join(given) or 'none'} given: pass one of recipe, technique and "
                        "preset")
    if recipe is not None and settings:
        raise TypeError(f"compress() has no argument {next(iter(settings))!r}; with a recipe, "
                        "settings of techniques are part of it")


def settings_text(settings: Dict[str, Any]) -> Optional[str]:
    """Settings as JSON, which is YAML, by their names in recipes: calibration_images becomes
    calibrationImages."""

    def plain(value: Any) -> Any:
        if isinstance(value, os.PathLike):
            return os.fspath(value)
        if isinstance(value, (np.generic, np.ndarray)):
            return value.tolist()
        if isinstance(value, (list, tuple, set)):
            return [plain(one) for one in value]
        if not isinstance(value, (bool, int, float, str)):
            raise TypeError(f"a setting is {value!r}: pass a number, text, True, False or a list")
        return value

    def key(name: str) -> str:
        first, *others = name.split("_")
        return first + "".join(other[:1].upper() + other[1:] for other in others)

    given = {key(name): plain(value) for name, value in settings.items() if value is not None}
    return json.dumps(given) if given else None


def set_goals(options: CompressOptions, max_drop: Union[float, str, None],
           confidence: Optional[float]) -> None:
    if max_drop is not None:
        relative = isinstance(max_drop, str) and max_drop.strip().endswith("%")
        try:
            drop = float(str(max_drop).strip().rstrip("%")) if relative else float(max_drop)
        except (TypeError, ValueError):
            raise TypeError(
                f"max_drop is {max_drop!r}: pass a number, or text such as '1%'") from None
        if not 0 <= drop < float("inf"):
            raise ValueError(f"max_drop is {max_drop!r}: pass 0 or more")
        # 0 is none for the library: nothing is lost by less than what a float can tell.
        if relative:
            options.max_relative_drop = drop / 100 or 1e-12
        else:
            options.max_drop = drop or 1e-12
    if confidence is not None:
        if max_drop is None:
            raise TypeError("confidence needs max_drop")
        if not 0.5 <= confidence < 1:
            raise ValueError(f"confidence is {confidence}: pass 0.5 to below 1, such as 0.95")
        options.confidence = confidence


def bound_text(bound: Union[float, str, None], name: str) -> Optional[bytes]:
    if bound is None or isinstance(bound, str):
        return encoded_text(bound)
    if isinstance(bound, bool) or not isinstance(bound, (int, float, np.number)):
        raise TypeError(f"{name} is {bound!r}: pass a number, or text such as '50%'")
    if not 0 < bound < float("inf"):
        raise ValueError(f"{name} is {bound}: pass a number above 0, or text such as '50%'")
    return repr(float(bound)).encode()
