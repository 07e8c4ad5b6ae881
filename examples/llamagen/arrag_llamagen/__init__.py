"""LlamaGen (Sun et al. 2024, arXiv 2406.06525), class to image, as a model that AR-RAG Loupe steps through."""

from .backend import LlamaGen, load

__all__ = ["LlamaGen", "load"]
