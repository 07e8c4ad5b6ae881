"""AR-RAG: decoding that looks up how real images went on, and records why every code was taken.

The names below are what most programs need; they load neither torch nor faiss before a model or an index is made.
"""

from .analysis.whatif import what_if
from .backends import ModelSource, load_backend
from .codebook import Codebook
from .context import Context
from .engine import Request, decode, decode_together, generate
from .patches.catalogue import find_database as open_database
from .patches.database import PatchDatabase
from .patches.protocol import ImageInfo
from .patches.segments.database import SegmentedDatabase
from .patches.segments.images import ImageRow
from .patches.segments.segment import Batch
from .patches.segments.writer import DatabaseWriter
from .trace import Trace
from .types import ArragError, Change, DecodeSettings, Grid

__version__ = "0.2.0"

__all__ = [
    "ArragError",
    "Batch",
    "Change",
    "Codebook",
    "Context",
    "DatabaseWriter",
    "DecodeSettings",
    "Grid",
    "ImageInfo",
    "ImageRow",
    "ModelSource",
    "PatchDatabase",
    "Request",
    "SegmentedDatabase",
    "Trace",
    "__version__",
    "decode",
    "decode_together",
    "generate",
    "load_backend",
    "open_database",
    "what_if",
]
