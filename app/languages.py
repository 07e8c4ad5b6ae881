"""The page's own labels in other languages than English; Gradio chooses by the language of the browser.

A text's key is the English text itself, so the code reads as the page does. What the scripts of the page write (the
stepper, tooltips, charts) is English everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import gradio as gr
from gradio.i18n import I18nData

if TYPE_CHECKING:
    from app.tabs.tab import Tab

TEXTS = ("label", "info", "placeholder")
"""Properties of components that hold a text for the reader; of buttons the value is one, too."""

GERMAN_NOTES: Mapping[str, str] = {
    "What the novice was trained on.": "Womit der Neuling trainiert wurde.",
    "The flat style and the concepts that the novice has never seen.": (
        "Der flache Stil und die Begriffe, die der Neuling nie gesehen hat."
    ),
    "Only what you brought; nobody else can ask it.": "Nur was Sie mitgebracht haben; sonst kann sie niemand fragen.",
    "What you brought, beside the embedded pictures.": "Was Sie mitgebracht haben, neben den mitgelieferten Bildern.",
    "Approximate search: near patches may be missed, and distances are estimates. Sources are not known.": (
        "Ungefähre Suche: nahe Felder können fehlen, Abstände sind geschätzt. Die Quellen sind nicht bekannt."
    ),
}
"""What must be known of databases."""

GERMAN: Mapping[str, str] = {
    # the row that asks
    "Tour": "Rundgang",
    "Prompt": "Beschreibung",
    "Describe a picture: a thing, a colour, a style": "Ein Bild beschreiben, auf Englisch: Ding, Farbe, Stil",
    "Method": "Verfahren",
    "Model only": "Nur Modell",
    "Seed": "Startwert",
    "Random": "Zufall",
    "Generate": "Zeichnen",
    "Pause": "Pause",
    "No database": "Ohne Datenbank",
    "What it was trained on": "Womit es trainiert wurde",
    "What it has never seen": "Was es nie gesehen hat",
    "One patch": "Ein Feld",
    "One row": "Eine Zeile",
    "To the end": "Bis zum Ende",
    # settings
    "Model and database": "Modell und Datenbank",
    "Model": "Modell",
    "Novice": "Neuling",
    "Database": "Datenbank",
    "Seen": "Gesehen",
    "Unseen": "Ungesehen",
    "Yours": "Ihre",
    "Emoji + yours": "Emoji + Ihre",
    "pictures.": "Bilder.",
    **GERMAN_NOTES,
    **{f"pictures. {english}": f"Bilder. {german}" for english, german in GERMAN_NOTES.items()},
    "Has never seen the flat style, nor some concepts.": "Kennt weder den flachen Stil noch einige der Begriffe.",
    "There is none: bring pictures of your own, under Your pictures, to retrieve from.": (
        "Es gibt keine: unter „Ihre Bilder“ können Sie eigene mitbringen, in denen dann gesucht wird."
    ),
    "Retrieval": "Suche",
    "Neighbours K": "Nachbarn K",
    "How many patches are looked up; 0 takes all.": "Wie viele Felder gesucht werden; 0 nimmt alle.",
    "How many patches are looked up.": "Wie viele Felder gesucht werden.",
    "Caption filter": "Titelfilter",
    "Only the n images captioned most alike. 0 is off.": "Nur die n Bilder mit den ähnlichsten Titeln. 0: aus.",
    "Position term": "Ortsterm",
    "Prefer patches from the same place. 0 is off.": "Bevorzugt Felder von derselben Stelle. 0: aus.",
    "Styles": "Stile",
    "Retrieve only from these. None chosen means all.": "Nur in diesen suchen. Keiner gewählt heißt: in allen.",
    "This database knows of no styles.": "Diese Datenbank kennt keine Stile.",
    "This database has no captions.": "Diese Datenbank hat keine Titel.",
    "This database cannot add anything to its distances.": "Diese Datenbank kann zu ihren Abständen nichts addieren.",
    "Distribution mix (DAiD)": "Mischung der Verteilungen (DAiD)",
    "Retrieval weight λ": "Gewicht der Suche λ",
    "How much of the blend comes from the neighbours.": "Wie viel der Mischung von den Nachbarn kommt.",
    "Retrieval temperature τ": "Temperatur der Suche τ",
    "Low: only the nearest count. Squared L2.": "Niedrig: nur die nächsten zählen. L2 im Quadrat.",
    "Gate": "Schranke",
    "Trust fades with distance: λ · exp(-d / gate). 0 is off.": (
        "Vertrauen sinkt mit dem Abstand: λ · exp(-d / Schranke). 0: aus."
    ),
    "Aggregate": "Zusammenfassen",
    "Neighbours with the same code: add them up, or let the nearest speak.": (
        "Nachbarn mit demselben Code: addieren, oder nur der nächste zählt."
    ),
    "Sum": "Summe",
    "Nearest": "Nächster",
    "Feature blend (FAiD)": "Mischung der Merkmale (FAiD)",
    "Features that go through the blenders": "Merkmale, die durch die Mischer gehen",
    "Those of the nearest of the K.": "Die der nächsten der K.",
    "Also record each position without what was retrieved": "Jede Position auch ohne das Gefundene aufzeichnen",
    "Shows flips. Costs one more pass of the model.": "Zeigt Wechsel. Kostet einen weiteren Durchgang des Modells.",
    "Sampling": "Ziehen",
    "Temperature": "Temperatur",
    "Low is cautious, high is varied.": "Niedrig ist vorsichtig, hoch abwechslungsreich.",
    "Keep the likeliest codes that hold this share. 1 is off.": (
        "Behält die wahrscheinlichsten Codes bis zu diesem Anteil. 1: aus."
    ),
    "Keep only the k likeliest codes. 0 is off.": "Behält nur die k wahrscheinlichsten Codes. 0: aus.",
    "CFG scale": "CFG-Stärke",
    "How strictly the prompt is followed. 1 is off.": "Wie genau der Beschreibung gefolgt wird. 1: aus.",
    "Negative prompt": "Gegenbeschreibung",
    "Steer from mixed-up styles, colours. Emoji, Novice only.": (
        "Weg von verwechselten Stilen, Farben. Nur Emoji, Novice."
    ),
    "Stop": "Anhalten",
}
"""By the English text; what is not here is the same in both languages, such as names. Tabs have words of their own."""


def words_of(tabs: Iterable[Tab]) -> Mapping[str, str]:
    """The German of everything on the page by its English: the page's own words, and those of its tabs."""
    return {**GERMAN, **{english: german for tab in tabs for english, german in tab.words.items()}}


def translations(words: Mapping[str, str]) -> gr.I18n:
    """What Gradio gives to the browser."""
    return gr.I18n(en={text: text for text in words}, de=dict(words))


def said(text: str, words: Mapping[str, str] = GERMAN) -> str:
    """A text that the browser puts into its language, if there are words for it.

    It may be a part of a longer text, but only one part: in an update Gradio 6.31 leaves a second one as its marker.
    """
    return str(I18nData(text)) if text in words else text


def translate(page: gr.Blocks, words: Mapping[str, str]) -> None:
    """Have the labels of everything on the page put into the language of the browser."""
    for block in page.blocks.values():
        for name in texts_of(block):
            setattr(block, name, said(getattr(block, name), words))
        if choices := getattr(block, "choices", None):
            setattr(block, "choices", [(said(str(label), words), value) for label, value in choices])  # noqa: B010 (typed so)


def texts_of(block: Any) -> tuple[str, ...]:
    """Names of the properties of a component that hold a text for the reader."""
    names = (*TEXTS, "value") if isinstance(block, gr.Button | gr.UploadButton | gr.DownloadButton) else TEXTS
    return tuple(name for name in names if isinstance(getattr(block, name, None), str) and getattr(block, name))
