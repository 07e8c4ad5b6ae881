"""What clients and agents learn of the endpoints, beyond what Gradio takes from their annotations."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from inspect import signature
from typing import Annotated, Any, TypedDict, get_args, get_origin, get_type_hints, is_typeddict

import gradio as gr
from gradio.components import Component
from gradio.utils import get_function_description
from gradio_client.utils import python_type_to_json_schema

from app import controls
from app.library import Library
from core.types import MEANINGS, DecodeSettings

Schema = dict[str, Any]


class Changes(TypedDict, total=False):
    """What `branches.change_from` takes."""

    settings: Annotated[dict[str, Any], "as in generate, from this position on; those that are not named stay"]
    weights: Annotated[
        list[list[float]], "pairs [entry, factor], entry as in step: 0 drops that neighbour, 2 doubles it"
    ]
    others: Annotated[float, "factor of all neighbours that weights does not name: with 0, the named ones are pinned"]
    code: Annotated[int, "the code to take here, whatever the blend says"]


def input_schemas(library: Library) -> dict[str, Schema]:
    """Schemas of the parameters of which more can be said than their type, by name."""
    settings, choices = settings_schema(library), library.choices("")
    brief = {"type": "object", "properties": {name: wordless(part) for name, part in settings["properties"].items()}}
    named = {kind: {"type": "string", "enum": list(choices[kind])} for kind in ("model", "database") if choices[kind]}
    change = described(Changes)
    change["properties"]["settings"] = {**brief, "description": change["properties"]["settings"]["description"]}
    return {**named, "settings": settings, "variants": {"type": "array", "items": brief}, "change": change}


def wordless(schema: Schema) -> Schema:
    """A setting's type and range alone: what the settings mean is said once in an endpoint, or elsewhere."""
    return {name: value for name, value in schema.items() if name not in ("description", "default")}


def settings_schema(library: Library) -> Schema:
    """The settings as an object of which nothing is required, with the ranges that the page offers."""
    hints, defaults = get_type_hints(DecodeSettings), asdict(library.start.settings)
    choices, knobs = library.choices(""), {knob.field: knob for knob in controls.KNOBS}
    properties = {}
    for name, default in defaults.items():
        default = list(default) if isinstance(default, tuple) else default
        schema: Schema = {**python_type_to_json_schema(hints[name]), "default": default}
        words = [MEANINGS[name], f"default {json.dumps(default)}"]
        if name in knobs:
            schema |= {"minimum": knobs[name].low, "maximum": knobs[name].high}
            words.insert(1, f"{knobs[name].low:g} to {knobs[name].high:g}")
        words += [library.costs[name]] if name in library.costs else []
        if name == "method":
            schema["enum"] = list(choices["method"])
        if name == "styles" and choices["styles"]:
            schema["items"]["enum"] = list(choices["styles"])
        properties[name] = {**schema, "description": "; ".join(words)}
    return {"type": "object", "properties": properties}


def described(hint: Any) -> Schema:
    """Gradio's schema of a type, with what `Annotated` says of its parts."""
    schema: Schema = python_type_to_json_schema(hint)
    annotate(schema, hint)
    return schema


def annotate(schema: Schema, hint: Any) -> None:
    """Put what `Annotated` says of a type and its parts into the schema that Gradio made of it."""
    if get_origin(hint) is Annotated:
        hint, schema["description"] = get_args(hint)
    if get_origin(hint) is list:
        annotate(schema["items"], get_args(hint)[0])
    elif type(None) in get_args(hint):
        annotate(schema["oneOf"][1], next(part for part in get_args(hint) if part is not type(None)))
    elif is_typeddict(hint):
        for name, part in get_type_hints(hint, include_extras=True).items():
            annotate(schema["properties"][name], part)


def describe(
    page: gr.Blocks, offered: Mapping[str, Any], answer: Callable[..., Any], schemas: Mapping[str, Schema]
) -> None:
    """Put names, and what docstring and annotations say, into the parts of an endpoint that Gradio offers.

    By itself it numbers the parts and knows their types alone. A client prints the "additional_description" of a
    parameter and the "description" of what is returned; the rest of the docstring goes to MCP.
    """
    _, words, returned = get_function_description(answer)
    parameters = list(signature(answer).parameters)[1:]  # without the request
    for name, part in zip(parameters, parts(page, offered["inputs"]), strict=True):
        schema: Schema = part.api_info()
        if name in schemas:
            schema.clear()
            schema.update(schemas[name])
        part.label, schema["additional_description"] = name, words[name]
    hint = signature(answer).return_annotation
    hints = get_args(hint) if get_origin(hint) is tuple else (hint,)
    for kind, part, line in zip(hints, parts(page, offered["outputs"]), returned, strict=True):
        annotate(part.api_info(), kind)
        part.label, part.api_info()["description"] = line.split(": ", 1)


def parts(page: gr.Blocks, numbers: Iterable[int]) -> list[Component]:
    """Components of a page by their numbers."""
    found = [page.blocks[number] for number in numbers]
    return [part for part in found if isinstance(part, Component)]
