"""What steers a frozen model and learns: how the embeddings in front of a question come about.

``SoftPrompt`` (in its own module) is one table for all questions. Here are the ones that differ from question to
question: a part of each task's own, and a part mixed by a gate that reads the question. Both stand behind a part that
all questions share, whose keys and values are computed once for a whole batch. In front of everything may stand a
preamble, the embeddings of a text, which never learns: its keys and values are computed once and for all.

Notation: U questions, F virtual tokens of the preamble, P shared ones, Q own ones, D the model's hidden size, K prompts
of a mixture.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from reasoning_arena.agents.errors import AgentError
from reasoning_arena.agents.layout import Ids
from reasoning_arena.agents.models import LoadedModel
from torch import Tensor, nn

PROMPT, PREAMBLE_TOKENS = "prompt_embeddings", "preamble_tokens"  # of an exported soft prompt: a tensor, metadata


class Soft(NamedTuple):
    """The virtual tokens of some questions, in the order in which they stand there.

    Attributes:
        preamble: what never learns, ``[F, D]``; F may be 0.
        shared: what all questions share, ``[P, D]``; P may be 0.
        own: what each has of its own, ``[U, Q, D]``, or None.
    """

    preamble: Tensor
    shared: Tensor
    own: Tensor | None = None

    def to(self, lm: LoadedModel) -> "Soft":
        """The same where the model is, in its dtype."""
        preamble, shared = (one.to(lm.device, lm.dtype) for one in (self.preamble, self.shared))
        return Soft(preamble, shared, None if self.own is None else self.own.to(lm.device, lm.dtype))

    def of(self, questions: Sequence[int]) -> "Soft":
        """That of some questions, or of some repeated."""
        return self if self.own is None else self._replace(own=self.own[list(questions)])

    @property
    def columns(self) -> int:
        """How many virtual tokens stand before a question, F + P + Q."""
        return len(self.preamble) + len(self.shared) + (0 if self.own is None else self.own.shape[1])

    def constant(self) -> Tensor:
        """What is the same for all questions, ``[F + P, D]``."""
        return torch.cat([self.preamble, self.shared]) if len(self.preamble) else self.shared

    def whole(self) -> Tensor:
        """All parts in one, ``[F + P, D]`` or ``[U, F + P + Q, D]``."""
        if self.own is None:
            return self.constant()
        return torch.cat([self.constant().expand(len(self.own), -1, -1), self.own], 1)


class Export(NamedTuple):
    """What PEFT can load.

    Attributes:
        config: of the adapter.
        tensors: by name.
        metadata: what is said of them in their file; PEFT does not look at it.
    """

    config: dict[str, object]
    tensors: dict[str, Tensor]
    metadata: dict[str, str]


def as_soft(soft: Soft | Tensor) -> Soft:
    """A soft prompt ``[P, D]`` without a preamble, or what is one already."""
    return soft if isinstance(soft, Soft) else Soft(soft[:0], soft)


class Steering(nn.Module, ABC):
    """What stands in front of a question.

    Args:
        preamble: what stands in front of that and never learns, ``[F, D]``, or None.
        width: D.

    Attributes:
        preamble: in float32 whatever the model's dtype; F may be 0.
    """

    preamble: Tensor

    def __init__(self, preamble: Tensor | None, width: int) -> None:
        super().__init__()
        given = torch.zeros(0, width) if preamble is None else preamble.detach().float().clone()
        self.register_buffer("preamble", given)

    @abstractmethod
    def forward(self, prompts: Sequence[Ids] = (), tasks: Sequence[str] = ()) -> Soft:
        """The virtual tokens of these questions.

        Args:
            prompts: the questions' tokens.
            tasks: the tasks' names, or nothing where they are not known.

        Raises:
            AgentError: it needs what was not given.
        """

    def units(self, embedding_rms: float) -> Iterator[tuple[nn.Parameter, float]]:
        """Every learnable parameter, with the size of a change in it that a learning rate of 1 stands for."""
        for parameter in self.parameters():
            if parameter.requires_grad:
                yield parameter, embedding_rms

    def exports(self, lm: LoadedModel) -> dict[str, Export]:
        """What PEFT can load of it, by subfolder (``""`` for the folder itself)."""
        return {}

    @property
    def rms(self) -> float:
        """The root mean square of all numbers that learn."""
        numbers = torch.cat([one.detach().flatten().float() for one in self.parameters() if one.requires_grad])
        return float(numbers.square().mean().sqrt())

    @property
    def size(self) -> int:
        """How many numbers learn."""
        return sum(one.numel() for one in self.parameters() if one.requires_grad)


def prompt_tuning_export(soft: Soft, lm: LoadedModel) -> Export:
    """A soft prompt without a question's own part as a PEFT adapter, to which the preamble is a part like any other."""
    weight = soft.constant()
    text = lm.model.config.get_text_config()
    config: dict[str, object] = {
        "peft_type": "PROMPT_TUNING",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": lm.path,
        "num_virtual_tokens": weight.shape[0],
        "token_dim": weight.shape[1],
        "num_layers": text.num_hidden_layers,
        "num_attention_heads": getattr(text, "num_attention_heads", 0),  # some have none, and prompt tuning needs none
        "num_transformer_submodules": 1,
        "prompt_tuning_init": "RANDOM",
        "inference_mode": True,
    }
    tensors = {PROMPT: weight.detach().cpu().contiguous()}
    return Export(config, tensors, {PREAMBLE_TOKENS: str(len(soft.preamble))})


class TaskPrompts(Steering):
    """A hierarchical prompt: a part that all tasks share, and behind it a part of each task's own.

    Args:
        shared: ``[P, D]``.
        own: by task, ``[Q, D]`` each.
        preamble: ``[F, D]``, or None.
    """

    def __init__(self, shared: Tensor, own: dict[str, Tensor], preamble: Tensor | None = None) -> None:
        super().__init__(preamble, shared.shape[1])
        self.tasks = {task: i for i, task in enumerate(own)}
        self.shared = nn.Parameter(shared.detach().float().clone())
        self.own = nn.Parameter(torch.stack([one.detach().float() for one in own.values()]))  # (tasks, Q, D)

    def forward(self, prompts: Sequence[Ids] = (), tasks: Sequence[str] = ()) -> Soft:
        """The shared part, and each question's task's; the mean one for a task never met."""
        if len(tasks) != len(prompts):
            raise AgentError(
                f"questions of {', '.join(self.tasks)} are steered by their task; say which task each is of"
            )
        own = [self.own[self.tasks[task]] if task in self.tasks else self.own.mean(0) for task in tasks]
        return Soft(self.preamble, self.shared, torch.stack(own))

    def exports(self, lm: LoadedModel) -> dict[str, Export]:
        """A soft prompt for each task."""
        return {
            task: prompt_tuning_export(Soft(self.preamble, torch.cat([self.shared, self.own[i]])), lm)
            for task, i in self.tasks.items()
        }


class PromptMixture(Steering):
    """A shared part, and behind it a mixture of K prompts whose shares a gate reads from the question.

    The gate is linear in the mean of the question's embeddings, in units of their root mean square; it begins with even
    shares.

    Args:
        lm: whose embeddings the gate reads.
        shared: ``[P, D]``.
        bank: ``[K, Q, D]``.
        embedding_rms: the root mean square of the model's embeddings.
        preamble: ``[F, D]``, or None.
    """

    GATE_UNIT = 0.1  # of the gate's numbers, which begin with 0

    def __init__(
        self, lm: LoadedModel, shared: Tensor, bank: Tensor, embedding_rms: float, preamble: Tensor | None = None
    ) -> None:
        super().__init__(preamble, shared.shape[1])
        self._embed = lm.model.get_input_embeddings().forward  # the method alone: the model is no part of this
        self._device, self._scale = lm.device, 1 / embedding_rms
        self.shared = nn.Parameter(shared.detach().float().clone())
        self.bank = nn.Parameter(bank.detach().float().clone())
        self.gate = nn.Parameter(torch.zeros(bank.shape[0], bank.shape[2]))  # (K, D)

    def shares(self, prompts: Sequence[Ids]) -> Tensor:
        """What each of the K prompts contributes to each question, ``[U, K]``."""
        with torch.no_grad():
            read = [self._embed(torch.tensor(list(ids), device=self._device)).float().mean(0) for ids in prompts]
        return (torch.stack(read) * self._scale @ self.gate.T).softmax(-1)

    def forward(self, prompts: Sequence[Ids] = (), tasks: Sequence[str] = ()) -> Soft:
        """The shared part, and each question's mixture."""
        return Soft(self.preamble, self.shared, torch.einsum("uk,kqd->uqd", self.shares(prompts), self.bank))

    def units(self, embedding_rms: float) -> Iterator[tuple[nn.Parameter, float]]:
        """The prompts in units of the embeddings, the gate in its own."""
        for parameter in self.parameters():
            yield parameter, self.GATE_UNIT if parameter is self.gate else embedding_rms
