"""How the method and this project are cited, as CITATION.cff has it."""

BIBTEX = """\
@inproceedings{qi2025arrag,
  title     = {{AR-RAG}: Autoregressive Retrieval Augmentation for Image Generation},
  author    = {Qi, Jingyuan and Xu, Zhiyang and Wang, Qifan and Huang, Lifu},
  booktitle = {Advances in Neural Information Processing Systems},
  volume    = {38},
  year      = {2025},
  note      = {arXiv:2506.06962}
}

@software{arragloupe,
  title   = {{AR-RAG} Loupe: a visual debugger for retrieval in autoregressive image generation},
  author  = {{The AR-RAG Loupe authors}},
  version = {0.2.0},
  year    = {2026}
}
"""
"""Here and not read from the file, which an installed package does not have; a test compares both."""
