"""The tab "Inside": what the model looks at when it draws a patch, and what each of its layers would draw."""

from __future__ import annotations

from pathlib import Path

from app.tabs.inside.layout import build
from app.tabs.tab import Tab

TIPS = {
    "#inside [data-in=layer]": "Whose attention is shown: of one layer, or the mean of all",
    "#inside [data-in=head]": "Whose attention is shown: of one head of the layer, or the mean of all",
    "#inside [data-in=picture]": "The picture before this patch; the more a patch is looked at, the more orange it is",
    "#inside .in-stage b": "The likeliest code there, and its probability before guidance and look-ups are mixed in",
    "#inside .in-taken": "Probability, there, of the code that was taken in the end",
    "#inside [data-in=show]": "Decode the codes below in their place; takes some seconds with this model",
    "#inside .in-list button": "Go to this patch",
    "#inside [data-in=keep]": "What was seen, heads as their mean, becomes part of the trace that can be saved",
}
TAB = Tab(
    folder=Path(__file__).parent,
    label="Inside",
    key="2",
    tip="What the model looks at, and what each layer would draw",
    build=build,
    tips=TIPS,
)
