"""GenEval (Ghosh et al. 2023, arXiv 2310.11513): prompts about objects, judged by what a detector finds."""
