"""The widgets of the settings, and the single place where their values become DecodeSettings and back."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import gradio as gr

from app.views import CHOICE_NAMES, METHOD_NAMES, Asked
from core.types import ConfigError, DecodeSettings, Method


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
    Knob("n_neighbours", "Neighbours K", "How many patches are looked up; 0 takes all.", 0, 512, 1),
    Knob("caption_filter", "Caption filter", "Only the n images captioned most alike. 0 is off.", 0, 512, 1),
    Knob("position_weight", "Position term", "Prefer patches from the same place. 0 is off.", 0, 1, 0.005),
)
DAID_KNOBS = (
    Knob("retrieval_weight", "Retrieval weight λ", "How much of the blend comes from the neighbours.", 0, 1, 0.01),
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
)
KNOBS = (*RETRIEVAL_KNOBS, *DAID_KNOBS, *FAID_KNOBS, *SAMPLING_KNOBS)
RECORD_UNBLENDED = "Also record each position without the blend"
AGGREGATES = (("Sum", "sum"), ("Nearest", "nearest"))
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
    values = [getattr(asked.settings, name) for name in NAMES[2:]]
    return [asked.model, asked.database, *(list(value) if isinstance(value, tuple) else value for value in values)]


def _setting(name: str, value: Any) -> Any:
    """One widget's value as a setting: an empty field is named, whole numbers lose their ".0", lists become tuples."""
    if value is None and name != "styles":
        raise ConfigError(f"{name}: got nothing, expected a number; fill in the field")
    if name == "styles":
        return tuple(value or ())
    if name in _WHOLE_NUMBERS and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def model_widget(models: Sequence[str]) -> gr.Radio:
    """Which of the models draws; hidden where there is only one."""
    info = "The novice has never seen the flat style, nor some concepts."
    return _pick("Model", models, info)


def database_widget(databases: Sequence[str]) -> gr.Radio:
    """Which database is asked; hidden where there is only one."""
    info = "Emoji: all pictures. Seen: what the novice was trained on. Unseen: the rest."
    return _pick("Database", databases, info)


def _pick(label: str, names: Sequence[str], info: str) -> gr.Radio:
    """Named things beside each other, the first one chosen."""
    choices: list[str | int | float | tuple[str, str | int | float]] = [(CHOICE_NAMES.get(n, n), n) for n in names]
    first = names[0] if names else None
    return gr.Radio(
        choices, value=first, label=label, info=info, visible=len(names) > 1 or "hidden", elem_id=label.lower(),
        elem_classes="lp-pick",
    )  # fmt: skip


def method_widget(defaults: DecodeSettings, methods: Sequence[Method]) -> gr.Radio:
    """Which of the methods draws the picture."""
    choices: list[str | int | float | tuple[str, str | int | float]] = [(METHOD_NAMES[name], name) for name in methods]
    return gr.Radio(choices, value=defaults.method, label="Method", elem_id="method", elem_classes="lp-pick")


def seed_widget(defaults: DecodeSettings) -> gr.Number:
    """The seed of the uniforms; runs that share it share their randomness."""
    return gr.Number(defaults.seed, label="Seed", elem_id="seed", precision=0, minimum=0, maximum=2**32 - 1)


def knob_widgets(knobs: Sequence[Knob], defaults: DecodeSettings) -> dict[str, gr.components.Component]:
    """One slider for each knob, by field."""
    return {
        knob.field: gr.Slider(
            knob.low,
            knob.high,
            value=getattr(defaults, knob.field),
            step=knob.step,
            label=knob.label,
            info=knob.info,
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
    """Whether the model also runs without its blenders, to compare."""
    info = "Shows flips. Costs a second pass of the model."
    return gr.Checkbox(defaults.record_unblended, label=RECORD_UNBLENDED, info=info, elem_classes="lp-check")


def styles_widget(defaults: DecodeSettings, styles: Sequence[str]) -> gr.CheckboxGroup:
    """Which art styles of the database may be retrieved from."""
    info = "Retrieve only from these. None chosen means all."
    chosen = list(defaults.styles)
    return gr.CheckboxGroup(list(styles), value=chosen, label="Styles", info=info, elem_classes="lp-pick")
