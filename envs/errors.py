"""What the environments raise when a user asks for something that they do not have."""


class ArenaError(ValueError):
    """A wrong argument: what was given, what is allowed, and what to do."""
