"""How long things take: run with ``scripts/benchmark``."""
