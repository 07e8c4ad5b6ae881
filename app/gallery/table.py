"""What the gallery shows: the runs that are recorded for it, in the order in which they are shown.

A run says what to draw and what is worth seeing in it. Figures are none of it: they are counted when it is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from app.own import BOTH, YOURS
from app.stage.recording import example, strengths
from app.strength import FOLLOW, STRONG
from app.views import Asked
from core.types import Change, DecodeSettings


@dataclass(frozen=True, slots=True)
class Run:
    """One run: its name in links, what to see in it, and what to draw.

    pause: after how many patches it was paused, 0 for never; parent: name of the run that it branches from by `change`;
    inside: whether attention and lens are recorded, too.
    """

    name: str
    say: str
    prompt: str
    asked: Asked
    pause: int = 0
    parent: str = ""
    change: Change | None = None
    inside: bool = False


@dataclass(frozen=True, slots=True)
class Beside:
    """Runs of the gallery beside each other: a name for links, what to see, and (run, label) of each."""

    name: str
    say: str
    title: str
    runs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Swept:
    """A table of runs over two settings, drawn for it: see `plans.sweep_plan`, whose values these are."""

    name: str
    say: str
    prompt: str
    asked: Asked
    across: tuple[str, str]
    down: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Section:
    """Runs under a heading, and what shows several of them together."""

    title: str
    text: str
    runs: tuple[Run, ...] = ()
    beside: tuple[Beside, ...] = ()
    swept: tuple[Swept, ...] = ()


def all_runs(sections: tuple[Section, ...]) -> Iterator[Run]:
    """The runs that have a card, in their order."""
    return (run for section in sections for run in section.runs)


def emoji(database: str = "emoji", **settings: Any) -> Asked:
    """A request to the model that knows everything that ships."""
    return Asked("emoji", database, DecodeSettings(**settings))


def follow(model: str, database: str, **settings: Any) -> Asked:
    """One that follows one picture of a database."""
    return Asked(model, database, DecodeSettings(**{**FOLLOW.settings, **settings}))


PIZZA: Final = example()
OFF, LITTLE, STRONG_PIZZA = (replace(PIZZA.asked, settings=strength.settings) for strength in strengths())
HEART: Final = "a red heart, 3d style"
FROG: Final = "a green frog"
BRANCHED: Final = 120

FIRST_SCREEN: Final = Section(
    "The pizza of the first screen",
    "The novice has never seen the flat style. What it looks up, and how much that counts, makes the picture.",
    (
        Run("pizza-off", "The model alone: a heap of colours.", PIZZA.prompt, OFF, inside=True),
        Run("pizza-little", "Look-ups count a little: a slice comes out of the heap.", PIZZA.prompt, LITTLE),
        Run("pizza-strong", "Look-ups decide, and follow one picture.", PIZZA.prompt, STRONG_PIZZA, inside=True),
        Run("pizza-seen", "The same, over the pictures that it was trained on: it follows a pizza in 3d.",
            PIZZA.prompt, replace(STRONG_PIZZA, database="seen")),
    ),
    (Beside("pizzas", "One prompt and one luck, four ways to look up.", PIZZA.prompt,
            (("pizza-off", "no look-ups"), ("pizza-little", "unseen, a little"), ("pizza-seen", "seen, strong"),
             ("pizza-strong", "unseen, strong"))),),
)  # fmt: skip
METHODS_SHOWN: Final = Section(
    "Four methods, one heart",
    "The same prompt and luck by every method; the model knows hearts, so look-ups change little.",
    (
        Run("heart-model", "The model alone.", HEART, emoji(seed=7, method="model"), inside=True),
        Run("heart-daid", "What is found is mixed into the prediction.", HEART, emoji(seed=7), inside=True),
        Run("heart-faid", "What is found is blended into the layers of the model.", HEART,
            emoji(seed=7, method="faid", record_unblended=True), inside=True),
        Run("heart-both", "Both at once.", HEART, emoji(seed=7, method="faid+daid", record_unblended=True)),
    ),
    (Beside("methods", "The methods beside each other, stepped through together.", HEART,
            (("heart-model", "Model only"), ("heart-daid", "DAiD"), ("heart-faid", "FAiD"),
             ("heart-both", "FAiD + DAiD"))),),
)  # fmt: skip
STYLES: Final = Section(
    "Styles, colours and things",
    "Prompts that the model is at home in: four drawing styles, and colours that it has to put together.",
    (
        Run("apple", "Flat style.", "red apple, flat style", emoji(seed=1)),
        Run("green-heart", "Noto style.", "green heart, noto style", emoji()),
        Run("umbrella", "Twemoji style.", "an umbrella, twemoji style", emoji(seed=3)),
        Run("guitar", "No style is asked for.", "guitar", emoji(), inside=True),
        Run("kitten", "A word that no caption has to the letter.", "a kitten", emoji()),
        Run("rocket", "Look-ups with more weight.", "rocket", emoji(seed=1, **STRONG.settings)),
        Run("cat-face", "A colour and a thing that were never seen together.", "blue cat face", emoji()),
    ),
)  # fmt: skip
UNSEEN: Final = Section(
    "What the novice has never seen",
    "The novice again: nothing flat was in its training, and no crab of any kind. The database has them.",
    (
        Run("penguin", "Mixed into the prediction.", "a penguin, flat style", follow("novice", "unseen", seed=5)),
        Run("penguin-faid", "Blended into the layers: they fill in, and do not copy.", "a penguin, flat style",
            follow("novice", "unseen", seed=5, method="faid", record_unblended=True)),
        Run("bicycle", "Thin lines are hard to hand over patch by patch.", "a bicycle, flat style",
            follow("novice", "unseen", seed=5)),
        Run("crab", "A thing that it has never seen in any style.", "a crab", follow("novice", "unseen", seed=5)),
        Run("crab-alone", "The same without look-ups: what it makes of a word that it was never told.", "a crab",
            follow("novice", "unseen", seed=5, method="model")),
    ),
)  # fmt: skip
OWN: Final = Section(
    "Pictures of one's own",
    "Twenty-four drawings in pixel art are the database; neither they nor their style were in the training.",
    (
        Run("house-without", "Without them.", "a small house",
            follow("emoji", "emoji", seed=3, method="model", retrieval_weight=0.9)),
        Run("house-with", "With them.", "a small house", follow("emoji", YOURS, seed=3, retrieval_weight=0.9)),
        Run("frog", "Nearly every patch is another one than the model's own.", FROG,
            follow("emoji", YOURS, seed=3, retrieval_weight=0.9), inside=True),
        Run("mushroom", "Beside the pictures that ship: the caption decides which one is followed.", "red mushroom",
            follow("emoji", BOTH, seed=3, retrieval_weight=0.9)),
    ),
)  # fmt: skip
CHANGED: Final = Section(
    "Changed on the way",
    "Runs that go on from another one: the luck stays, so what differs follows from the change.",
    (
        Run("pizza-branch", f"Look-ups are turned off at patch {BRANCHED}: the crust stays, the rest is the model's.",
            PIZZA.prompt, STRONG_PIZZA, parent="pizza-strong", change=Change(BRANCHED, settings=OFF.settings)),
        Run("guitar-forced", "One code chosen by hand, at patch 60: the model draws around it.", "guitar", emoji(),
            parent="guitar", change=Change(60, code=500)),
        Run("frog-paused", "Paused after 100 patches; on the page it could go on.", FROG,
            follow("emoji", YOURS, seed=3, retrieval_weight=0.9), pause=100),
    ),
    swept=(
        Swept("weights", "How much look-ups count, and how strictly the nearest count most.", PIZZA.prompt,
              STRONG_PIZZA, ("retrieval_weight", "0, 0.3, 0.6"), ("retrieval_temperature", "0.03, 0.3, 2")),
    ),
)  # fmt: skip
FAILED: Final = Section(
    "What came out badly",
    "It knows single things and a few words. How likely its codes were says how sure it was, not that it was right.",
    (
        Run("two-hearts", "Asked for two: it cannot count, and draws pieces.", "two red hearts side by side", emoji()),
        Run("dog-bicycle", "Asked for a scene: one of its words wins, and the dog is gone.", "a dog riding a bicycle",
            emoji()),
        Run("not-a-cat", "A negation: “not” means nothing to it, and it is sure of its cat.", "not a cat", emoji()),
        Run("banana", "Two things and a colour: neither a banana nor a plate.", "a blue banana on a plate", emoji()),
        Run("hello", "It cannot write.", "the word hello", emoji()),
        Run("nonsense", "A word that there is not: some shape comes out all the same.", "qwertz", emoji()),
        Run("pineapple-hot", "Temperature 1.6: the luck outvotes the model.", "pineapple",
            emoji(seed=2, temperature=1.6, top_p=1.0)),
        Run("guitar-torn", "Look-ups decide, and no caption chooses among the pictures: pieces of many of them.",
            "guitar", emoji(retrieval_weight=0.9, retrieval_temperature=0.3, gate=0.0, caption_filter=0,
                            n_neighbours=1)),
    ),
)  # fmt: skip

SECTIONS: Final = (FIRST_SCREEN, METHODS_SHOWN, STYLES, UNSEEN, OWN, CHANGED, FAILED)
"""All that the gallery shows."""
