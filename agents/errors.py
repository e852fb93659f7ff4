"""What the agents raise when a model or a prompt cannot be had as asked."""


class AgentError(ValueError):
    """A wrong model, device, prompt or checkpoint: what was given, what is allowed, and what to do."""
