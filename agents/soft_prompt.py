"""What learns, by default: a few embeddings in front of the model's input.

Notation: P virtual tokens, D the model's hidden size.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from reasoning_arena.agents.encoding import readable
from reasoning_arena.agents.errors import AgentError
from reasoning_arena.agents.layout import Ids
from reasoning_arena.agents.models import LoadedModel
from reasoning_arena.agents.steering import Export, Soft, Steering, prompt_tuning_export
from torch import Tensor, nn

SoftPromptInit = Literal["text", "vocabulary", "random"]
DEFAULT_TOKENS = 32  # where no text says how many


class SoftPrompt(Steering):
    """P learnable embeddings, in float32 whatever the model's dtype.

    Args:
        weight: their first values, ``[P, D]``.
        preamble: what stands in front of them, ``[F, D]``, or None.

    Attributes:
        weight: ``[P, D]``.
    """

    def __init__(self, weight: Tensor, preamble: Tensor | None = None) -> None:
        super().__init__(preamble, weight.shape[1])
        self.weight = nn.Parameter(weight.detach().float().clone())

    def forward(self, prompts: Sequence[Ids] = (), tasks: Sequence[str] = ()) -> Soft:
        """The same for all questions."""
        return Soft(self.preamble, self.weight)

    def exports(self, lm: LoadedModel) -> dict[str, Export]:
        """The soft prompt itself."""
        return {"": prompt_tuning_export(self(), lm)}


def embedding_rms(lm: LoadedModel) -> float:
    """The root mean square of the model's input embeddings, as the model's first layer sees them.

    Measured on up to 4,096 tokens spread over the vocabulary, through the embedding module, since some families scale
    in it.
    """
    embed, size = lm.model.get_input_embeddings(), lm.vocabulary_size
    ids = torch.arange(0, size, max(1, size // 4096), device=lm.device)
    with torch.no_grad():
        return float(embed(ids).float().square().mean().sqrt())


def text_embeddings(lm: LoadedModel, text: str) -> Tensor:
    """The embeddings of a text's tokens, ``[tokens, D]``, none of which the tokenizer adds of its own."""
    ids = torch.tensor(lm.tokenizer(readable(text), add_special_tokens=False).input_ids, dtype=torch.long)
    with torch.no_grad():
        embedded: Tensor = lm.model.get_input_embeddings()(ids.to(lm.device))
    return embedded


def initial_soft_prompt(
    lm: LoadedModel, tokens: int | None, init: SoftPromptInit, text: str, generator: torch.Generator
) -> SoftPrompt:
    """A soft prompt to start from.

    Args:
        lm: the model that it will steer.
        tokens: P; None takes as many as the text has, or 32.
        init: "text" (embeddings of a text, repeated or cut to P), "vocabulary" (of random tokens), or "random"
            (normal numbers with the embeddings' root mean square).
        text: for example an instruction, or worked examples.
        generator: a CPU generator.

    Raises:
        AgentError: an unknown kind, no tokens, or a text without any.
    """
    if tokens is not None and tokens < 1:
        raise AgentError(f"a soft prompt of {tokens} tokens is not allowed; give at least 1")
    embed, size = lm.model.get_input_embeddings(), lm.vocabulary_size
    if init == "random":
        return SoftPrompt(torch.randn(tokens or DEFAULT_TOKENS, lm.width, generator=generator) * embedding_rms(lm))
    if init == "vocabulary":
        ids = torch.randint(size, (tokens or DEFAULT_TOKENS,), generator=generator)
    elif init == "text":
        words = text_embeddings(lm, text)
        if not len(words):
            raise AgentError(f"the soft prompt's text {text!r} holds no token")
        return SoftPrompt(words[torch.arange(tokens or len(words)) % len(words)])
    else:
        raise AgentError(f"soft prompt initialisation {init!r} is not allowed; give text, vocabulary or random")
    with torch.no_grad():
        return SoftPrompt(embed(ids.to(lm.device)))
