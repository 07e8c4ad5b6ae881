"""The widgets of the settings, and the single place where their values become DecodeSettings and back."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import gradio as gr

from app import strength
from app.views import DATABASE_NOTES, METHOD_NAMES, MODEL_NOTES, Asked, called, sentences
from core.backends.protocol import Backend
from core.patches.protocol import Database
from core.types import OFF, ConfigError, DecodeSettings


@dataclass(frozen=True, slots=True)
class Knob:
    """A number of DecodeSettings as a slider: its field, words for the reader, and the range that is offered."""

    field: str
    label: str
    info: str
    low: float
    high: float
    step: float


RETRIEVAL_KNOBS = (
    Knob("n_neighbours", "Neighbours K", "How many patches are looked up; 0 takes all.", 0, 2048, 1),
    Knob("caption_filter", "Caption filter", "Only the n images captioned most alike. 0 is off.", 0, 512, 1),
    Knob("position_weight", "Position term", "Prefer patches from the same place. 0 is off.", 0, 1, 0.005),
)
FOLLOW_KNOBS = (
    Knob(
        "follow_within",
        "Near enough",
        "For Approximate: how near the nearest of these must be. Squared L2.",
        0,
        4,
        0.05,
    ),
)
DAID_KNOBS = (
    Knob("retrieval_weight", "Retrieval weight λ", "How much of the mix comes from the neighbours.", 0, 1, 0.01),
    Knob("retrieval_temperature", "Retrieval temperature τ", "Low: only the nearest count. Squared L2.", 0.01, 2, 0.01),
    Knob("gate", "Gate", "Trust fades with distance: λ · exp(-d / gate). 0 is off.", 0, 4, 0.05),
)
FAID_KNOBS = (
    Knob("faid_neighbours", "Features that go through the blenders", "Those of the nearest of the K.", 1, 64, 1),
)
SAMPLING_KNOBS = (
    Knob("temperature", "Temperature", "Low is cautious, high is varied.", 0.05, 2, 0.05),
    Knob("top_p", "Top-p", "Keep the likeliest codes that hold this share. 1 is off.", 0.05, 1, 0.01),
    Knob("top_k", "Top-k", "Keep only the k likeliest codes. 0 is off.", 0, 256, 1),
    Knob("cfg_scale", "CFG scale", "How strictly the prompt is followed. 1 is off.", 0, 8, 0.1),
    Knob("negative_share", "Negative prompt", "Steer from mixed-up styles, colours. Emoji, Novice only.", 0, 1, 0.05),
)
KNOBS = (*RETRIEVAL_KNOBS, *FOLLOW_KNOBS, *DAID_KNOBS, *FAID_KNOBS, *SAMPLING_KNOBS)
RESTRICTED = ("n_neighbours", "caption_filter", "position_weight", "styles", "follow")
"""Settings that some databases cannot search by, or not as freely."""
SOME_NEIGHBOURS = "How many patches are looked up."
"""Said of K where a database cannot look up all of its entries."""
INFO: Mapping[str, str] = {
    **{knob.field: knob.info for knob in KNOBS},
    "styles": "Look up only in these. None chosen means all.",
    "follow": "Start from the patches that continue the sources found beside this one. "
    "Exact finds the same; Approximate skips searches and may change the picture.",
}
LABELS: Mapping[str, str] = {
    **{knob.field: knob.label for knob in KNOBS},
    "model": "Model",
    "database": "Database",
    "method": "Method",
    "seed": "Seed",
    "aggregate": "Aggregate",
    "styles": "Styles",
    "follow": "Continue sources",
}
"""What the page calls its settings, by their names."""
RECORD_UNBLENDED = "Also record each position without look-up"
AGGREGATES = (("Sum", "sum"), ("Nearest", "nearest"))
FOLLOWS = (("Off", "off"), ("Exact", "exact"), ("Approximate", "near"))
NAMES = ("model", "database", *(field.name for field in fields(DecodeSettings)))
"""Everything that a visitor chooses for a run, besides the prompt."""
_WHOLE_NUMBERS = ("seed", "top_k", "n_neighbours", "caption_filter", "faid_neighbours")


@dataclass(frozen=True, slots=True)
class Controls:
    """The widgets by the name of what they hold: model, database, and the settings in the order of DecodeSettings."""

    widgets: Mapping[str, gr.components.Component]

    @property
    def inputs(self) -> list[gr.components.Component]:
        """The widgets as inputs of an event."""
        return [self.widgets[name] for name in NAMES]


def asked_from(values: Sequence[Any]) -> Asked:
    """The request in the values of `Controls.inputs`; ConfigError for what is out of range, empty or not a number."""
    if len(values) != len(NAMES):
        raise ConfigError(f"settings: got {len(values)} values, expected {len(NAMES)}, one for each widget; reload")
    model, database, *rest = values
    settings = {name: _setting(name, value) for name, value in zip(NAMES[2:], rest, strict=True)}
    return Asked(str(model), str(database), DecodeSettings(**settings))


def check_offered(asked: Asked, choices: Mapping[str, Collection[str]]) -> None:
    """ConfigError unless everything that is asked for can be chosen on the page; choices: see `Session.choices`."""
    for name, value in (("model", asked.model), ("database", asked.database), ("method", asked.settings.method)):
        if value not in choices[name] and (name != "database" or asked.settings.retrieves):
            raise ConfigError(f"{name}: got {value!r:.40}, expected one of {', '.join(choices[name]) or 'none'}")
    if unknown := sorted(set(asked.settings.styles) - set(choices["styles"])):
        raise ConfigError(f"styles: got {unknown[0]!r:.40}, expected some of {', '.join(choices['styles'])}")
    for knob in KNOBS:
        if not knob.low <= (value := getattr(asked.settings, knob.field)) <= knob.high:
            raise ConfigError(f"{knob.field}: got {value:g}, the page offers {knob.low:g} to {knob.high:g}")


def values_of(asked: Asked) -> list[Any]:
    """What the widgets must show for a request, in the order of `Controls.inputs`."""
    values = [_shown(getattr(asked.settings, name)) for name in NAMES[2:]]
    return [asked.model, asked.database, *values]


def _shown(value: Any) -> Any:
    """A setting as a widget takes it."""
    return list(value) if isinstance(value, tuple) else value


def _setting(name: str, value: Any) -> Any:
    """One widget's value as a setting: an empty field is named, whole numbers lose their ".0", lists become tuples."""
    if value is None and name != "styles":
        raise ConfigError(f"{name}: got nothing, expected a number; fill in the field")
    if name == "styles":
        return tuple(value or ())
    if name in _WHOLE_NUMBERS and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def model_widget(backends: Mapping[str, Backend]) -> gr.Radio:
    """Which of the models draws, and what it is."""
    return _pick("Model", tuple(backends), about_model(backends, next(iter(backends))))


def database_widget(databases: Mapping[str, Database]) -> gr.Radio:
    """Which database is asked, and what must be known of it."""
    return _pick("Database", tuple(databases), about_database(databases, next(iter(databases), "")))


def about_model(backends: Mapping[str, Backend], name: str) -> str:
    """Which model it is, where it runs, and what must be known of it."""
    description = f"{backends[name].description}." if name in backends else ""
    return sentences(description[:1].upper() + description[1:], MODEL_NOTES.get(name, ""))


def refusals(databases: Mapping[str, Database]) -> dict[str, list[str]]:
    """The settings that each of some databases refuses, by its name; those that refuse none are left out."""
    return {name: sorted(found) for name, one in databases.items() if (found := one.unsupported_settings)}


def about_database(databases: Mapping[str, Database], name: str) -> str:
    """What must be known of a database; how to get one where there is none."""
    if not databases:
        return "There is none: bring pictures of your own, under Your pictures."
    if name not in databases:
        return DATABASE_NOTES.get(name, "")
    size = f"{len(databases[name].images):,} pictures."
    return sentences(size, DATABASE_NOTES.get(name, ""), databases[name].notice)


def _pick(label: str, names: Sequence[str], info: str) -> gr.Radio:
    """Named things beside each other, the first one chosen."""
    first = names[0] if names else None
    return gr.Radio(
        choices_of(names), value=first, label=label, info=info, elem_id=label.lower(), elem_classes="lp-pick"
    )


def choices_of(names: Sequence[str]) -> list[str | int | float | tuple[str, str | int | float]]:
    """Models or databases as a picker offers them."""
    return [(called(name), name) for name in names]


def restricted(database: Database | None) -> list[dict[str, Any]]:
    """Updates of the widgets of RESTRICTED for a database; what it refuses is set to nothing, too."""
    refused = database.unsupported_settings if database else {}
    values = [{"value": _shown(OFF[name])} if name in refused else {} for name in RESTRICTED]
    return [{**gr.update(), **_offer(name, database), **value} for name, value in zip(RESTRICTED, values, strict=True)]


def _offer(name: str, database: Database | None) -> dict[str, Any]:
    """Whether a setting can be used with a database, and what is said of it: the reason where it cannot."""
    if database and name in database.unsupported_settings:
        return {"interactive": False, "info": database.unsupported_settings[name]}
    if database and name == "n_neighbours":
        text, least = (INFO[name], 0) if database.can_return_all else (SOME_NEIGHBOURS, 1)
        return {"interactive": True, "minimum": least, "info": text}
    here = f" ({', '.join(database.styles)})" if name == "styles" and database else ""
    return {"interactive": True, "info": INFO[name] + here}


def _with_cost(offer: dict[str, Any], cost: str) -> dict[str, Any]:
    """What is said of a setting, with what it costs."""
    return {**offer, "info": sentences(offer["info"], f"{cost[:1].upper()}{cost[1:]}.")} if cost else offer


def view_widget() -> gr.Radio:
    """How many of the settings are in sight; page.css hides the others."""
    return gr.Radio(
        [("Basic", "basic"), ("All", "all")],
        value="basic",
        label="Settings",
        elem_id="settings",
        interactive=True,
        elem_classes="lp-pick",
    )


def strength_widget(
    start: Asked, methods: Collection[str], database: Database | None, defaults: DecodeSettings
) -> gr.Radio:
    """How much of a say look-ups have; nothing is chosen where the settings are of no strength.

    defaults: those of the model, whose strengths these are.
    """
    refused = database.unsupported_settings if database else {}
    found = strength.strength_of(start.settings, refused, strength.strengths_of(defaults))
    return gr.Radio(
        strengths_offered(methods, refused, defaults),
        value=found.name if found else None,
        label="Strength",
        info=found.meaning if found else strength.CUSTOM,
        elem_id="strength",
        interactive=True,
        elem_classes="lp-pick",
    )


def strength_table(databases: Mapping[str, Database], defaults: DecodeSettings) -> str:
    """What strength.js knows of strengths, as JSON; databases: those that may refuse settings; defaults: a model's."""
    known = strength.strengths_of(defaults)
    rows = {one.name: {"meaning": one.meaning, "settings": one.settings} for one in known}
    return json.dumps(
        {"fields": strength.FIELDS, "strengths": rows, "refused": refusals(databases), "custom": strength.CUSTOM}
    )


def strengths_offered(
    methods: Collection[str], refused: Collection[str], defaults: DecodeSettings
) -> list[str | int | float | tuple[str, str | int | float]]:
    """Strengths as the picker offers them; defaults: those of the model."""
    known = strength.strengths_of(defaults)
    return [(one.label, one.name) for one in strength.offered(methods, refused, known)]


def method_widget(defaults: DecodeSettings, methods: Sequence[str]) -> gr.Radio:
    """Which of the methods draws the picture."""
    return gr.Radio(
        methods_offered(methods), value=defaults.method, label="Method", elem_id="method", elem_classes="lp-pick"
    )


def methods_offered(methods: Sequence[str]) -> list[str | int | float | tuple[str, str | int | float]]:
    """Methods as the picker offers them."""
    return [(METHOD_NAMES[name], name) for name in methods]


def seed_widget(defaults: DecodeSettings) -> gr.Number:
    """The seed of the noise; runs that share it share their randomness.

    Without a range and as it was typed: Gradio would refuse it before anything can answer, or draw another one than it
    shows. `DecodeSettings` says what is allowed.
    """
    return gr.Number(defaults.seed, label="Seed", elem_id="seed")


def knob_widgets(
    knobs: Sequence[Knob],
    defaults: DecodeSettings,
    database: Database | None = None,
    costs: Mapping[str, str] | None = None,
) -> dict[str, gr.components.Component]:
    """One slider for each knob, by field; off where the database refuses it. costs: what is said of some besides."""
    return {
        knob.field: gr.Slider(
            maximum=knob.high,
            value=getattr(defaults, knob.field),
            step=knob.step,
            label=knob.label,
            **{"minimum": knob.low, **_with_cost(_offer(knob.field, database), (costs or {}).get(knob.field, ""))},
            buttons=[],
            elem_classes="lp-knob",
        )
        for knob in knobs
    }


def aggregate_widget(defaults: DecodeSettings) -> gr.Radio:
    """How neighbours with the same code add up."""
    info = "Neighbours with the same code: add them up, or let the nearest speak."
    return gr.Radio(list(AGGREGATES), value=defaults.aggregate, label="Aggregate", info=info, elem_classes="lp-pick")


def record_unblended_widget(defaults: DecodeSettings) -> gr.Checkbox:
    """Whether the model also runs with nothing retrieved and without its blenders, to compare."""
    info = "Shows flips. Costs one more pass of the model."
    return gr.Checkbox(defaults.record_unblended, label=RECORD_UNBLENDED, info=info, elem_classes="lp-check")


def follow_widget(defaults: DecodeSettings, database: Database | None = None) -> gr.Radio:
    """Whether look-ups go on from what was found beside them."""
    return gr.Radio(
        list(FOLLOWS), value=defaults.follow, label=LABELS["follow"], elem_id="follow", elem_classes="lp-pick",
        **_offer("follow", database)
    )  # fmt: skip


def styles_widget(
    defaults: DecodeSettings, styles: Sequence[str], database: Database | None = None
) -> gr.CheckboxGroup:
    """Which art styles of the database may be retrieved from."""
    chosen = list(defaults.styles)
    return gr.CheckboxGroup(
        list(styles), value=chosen, label="Styles", elem_classes="lp-pick", **_offer("styles", database)
    )
