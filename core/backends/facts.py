"""What is known of the models of this package before they are loaded; the one place where their defaults stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ..inputs.prompt import LONGEST_PROMPT, PromptLimit
from ..types import DecodeSettings


@dataclass(frozen=True, slots=True)
class Facts:
    """defaults: the settings that it draws with unless it is told otherwise; prompt: the longest that it takes;
    guidance: what classifier-free guidance costs, measured."""

    defaults: DecodeSettings
    prompt: PromptLimit
    guidance: str


EMBEDDED_FACTS: Final = Facts(
    DecodeSettings(),
    PromptLimit(),
    "a picture takes 18 to 23 % longer, 32 to 41 % with the negative prompt",
)
"""Of the embedded models, on which the usual settings were chosen.

guidance: CPU time of one thread, seven triples of pictures that took turns at each position; medians 21 and 34 %.
"""

JANUS_FACTS: Final = Facts(
    DecodeSettings(
        temperature=1.0, top_p=1.0, cfg_scale=5.0, negative_share=0.0,
        n_neighbours=2048, retrieval_temperature=1.0, gate=0.0, caption_filter=0,
        faid_neighbours=10,
    ),
    PromptLimit(LONGEST_PROMPT, 512),
    "a picture takes 20 to 24 % longer in float32, 6 to 10 % in bfloat16, on a CPU",
)  # fmt: skip
"""Of Janus-Pro, from the code that the paper's authors released (PLUM-Lab/AR-RAG, commit 8361a45).

CFG 5, temperature 1, no top-p, no negative prompts, K 2,048, tau 1, no gate, no caption filter: `t2i_daid.py`;
10 features: `t2i_faid.py`; 512 tokens: `max_text_length` of `train_FAiD.py`. That code gives no lambda: it reads one
whose default is 0 and does not hand it on. So lambda is this project's usual 0.1, which was not measured on Janus-Pro.
Neighbours with the same code are added up, as in the paper's formula; the released code lets the nearest speak.
"""

FACTS: Final[Mapping[str, Facts]] = {"emoji": EMBEDDED_FACTS, "novice": EMBEDDED_FACTS, "janus": JANUS_FACTS}
"""By the name of the backend."""
