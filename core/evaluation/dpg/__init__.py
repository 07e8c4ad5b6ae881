"""DPG-Bench (Hu et al. 2024, ELLA, arXiv 2403.05135): long prompts, judged by answers to questions about them."""
