"""How it learns: loops, losses, evaluation, records."""
