"""The tab "Database": what the model can look up, and where things stand in it."""

from __future__ import annotations

from pathlib import Path

from app.tabs.database.layout import build
from app.tabs.tab import Tab

TIPS = {
    "[data-db=size] dt": "Of the database that is chosen above",
    "[data-db=size] dd": "Of the database that is chosen above",
    "[data-db=offers] label": "Which database to look at here; the settings stay as they are",
    "[data-db=words]": "A word or a few; no model runs for words contained",
    "[data-db=how]": "Words contained in captions and styles, or captions that the encoder takes for alike",
    "[data-db=form] button": "Search the captions",
    "[data-db=here]": "Look up the neighbourhood at which the stepper stands",
    "[data-db=upload]": "Look for pictures that share neighbourhoods with one of yours, which is deleted when read",
    "[data-db=like]": "Look for pictures that share neighbourhoods with this one",
    ".db-kinds label": "What brings pictures near to each other on the map",
    "[data-db=map]": "Each dot is a picture; arrow keys go to the next one, Enter opens it",
    "[data-db=picture]": "Click a cell to see where else its neighbourhood stands",
    ".db-row": "Open this picture",
    "[data-db=curve]": "Cells by code, from the most frequent code to the rarest; the heights are square roots",
    ".db-code": "A cell where this code stands in a real picture, its number, and how many cells hold it",
    ".db-context": "The neighbourhood at its first place, around the hole that is filled next; click: where else?",
    ".db-followers": "What came next after this neighbourhood, and how often",
}
TAB = Tab(
    folder=Path(__file__).parent,
    label="Database",
    key="8",
    tip="What the model can look up, and where things stand in it",
    build=build,
    tips=TIPS,
)
