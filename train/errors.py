"""What a training run raises when it cannot go on as asked."""


class TrainingError(ValueError):
    """A wrong flag, run folder or checkpoint, or a loss that is no number: what was given and what to do."""
