"""AR-RAG: autoregressive retrieval augmentation of image generation (Qi et al., NeurIPS 2025, arXiv 2506.06962)."""
