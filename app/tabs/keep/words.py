"""The German of the tab's labels by their English."""

from __future__ import annotations

WORDS = {
    "Keep and share": "Behalten und teilen",
    "Link to this run": "Link zu diesem Lauf",
    "Prompt, seed, model, database, all settings and the position you look at; whoever opens it draws the same, "
    "and is told if another processor or version drew otherwise.": (
        "Beschreibung, Startwert, Modell, Datenbank, alle Einstellungen und die Position, die Sie ansehen; wer ihn "
        "öffnet, zeichnet dasselbe und erfährt, wenn ein anderer Prozessor oder eine andere Version anders zeichnet."
    ),
    "Draw something first.": "Erst etwas zeichnen.",
    "Press Copy link.": "„Link kopieren“ drücken.",
    "Copy link": "Link kopieren",
    "Download picture (.webp)": "Bild laden (.webp)",
    "Download page (.html)": "Seite laden (.html)",
    "Download trace (.npz)": "Aufzeichnung laden (.npz)",
    "Open a trace": "Aufzeichnung öffnen",
    "This visit, newest first": "Dieser Besuch, das Neueste zuerst",
}
