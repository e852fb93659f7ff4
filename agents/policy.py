"""The policy: a frozen language model that a soft prompt steers, from questions to answers."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from reasoning_arena.agents.encoding import Encoder
from reasoning_arena.agents.errors import AgentError
from reasoning_arena.agents.language_model import Begun, LanguageModel, Scored
from reasoning_arena.agents.models import LoadedModel
from reasoning_arena.agents.steering import Soft, Steering
from torch import Tensor


class Answer(NamedTuple):
    """What the policy said.

    Attributes:
        tokens: the stop token among them.
        text: what they spell.
        logprob: the natural logarithm of the probability with which they were drawn, 0 where greedily.
    """

    tokens: tuple[int, ...]
    text: str
    logprob: float = 0.0


class SoftPromptPolicy:
    """Answers questions, and says how likely answers were.

    Args:
        lm: the frozen model.
        soft_prompt: what steers it, and what learns; most often a ``SoftPrompt``.
        chat_template: put questions through the tokenizer's chat template, where it has one.
        max_new_tokens: the longest answer.
    """

    def __init__(
        self,
        lm: LoadedModel,
        soft_prompt: Steering,
        *,
        chat_template: bool = False,
        max_new_tokens: int = 56,
    ) -> None:
        self.lm = lm
        self.language_model = LanguageModel(lm)
        self.encoder = Encoder(lm, chat_template)
        # What learns of the model is already where the model is, which may be on several devices.
        self.soft_prompt = soft_prompt if self.model_learns else soft_prompt.to(lm.device)
        self.max_new_tokens = max_new_tokens

    def act(
        self,
        observations: Sequence[str],
        tasks: Sequence[str] = (),
        *,
        temperatures: Sequence[Sequence[float]] | None = None,
        generator: torch.Generator | None = None,
        scored_next: bool = False,
    ) -> list[Answer]:
        """Answer every question once at each of its temperatures; the answers to one question come next to each other.

        Args:
            observations: the questions.
            tasks: of which task each one is, for a steering that needs to know.
            temperatures: for each question, 0 for greedily; by default every question is answered once and greedily.
            generator: on the model's device; None draws from torch's own.
            scored_next: whether ``score`` comes next, before the soft prompt changes: part of it is then computed here.

        Raises:
            AgentError: what was to be drawn from is no distribution, or soft prompt, question and answer are longer
                than what the model reads.
        """
        if not observations:
            return []
        prompts = [self.encoder.prompt_ids(observation) for observation in observations]
        with torch.no_grad():
            soft = self.soft_prompt(prompts, tasks)
        self._check_length(soft, [(len(prompt), self.max_new_tokens) for prompt in prompts])
        completions = self.language_model.generate(
            soft,
            prompts,
            self.max_new_tokens,
            self.encoder.stop_ids,
            temperatures=temperatures,
            generator=generator,
            scored_next=scored_next,
        )
        return [Answer(tokens, self.encoder.text(tokens), logprob) for tokens, logprob in completions]

    def score(
        self,
        observations: Sequence[str],
        completions: Sequence[Sequence[int]],
        owners: Sequence[int] | None = None,
        tasks: Sequence[str] = (),
        *,
        keep_contexts: bool = False,
        derived: int | None = None,
    ) -> Scored:
        """Log-probabilities of completions, with gradients to what learns.

        Args:
            observations: U questions.
            completions: N rows of tokens.
            owners: which question each completion answers; by default the n-th answers the n-th.
            tasks: of which task each question is, for a steering that needs to know.
            keep_contexts: whether ``begin`` will be asked for these.
            derived: of how many completions, the first ones, gradients are wanted, where ``derives_some`` and each
                answers its own question; None for all.

        Raises:
            AgentError: soft prompt, question and completion are longer than what the model reads.
        """
        prompts = [self.encoder.prompt_ids(observation) for observation in observations]
        soft = self.soft_prompt(prompts, tasks)
        asked = prompts if owners is None else [prompts[owner] for owner in owners]
        rows = zip(asked, completions, strict=True)
        self._check_length(soft, [(len(prompt), len(completion)) for prompt, completion in rows])
        return self.language_model.score(
            soft, prompts, completions, owners, keep_contexts=keep_contexts, derived=derived
        )

    @torch.no_grad()
    def unprompted(
        self, observations: Sequence[str], completions: Sequence[Sequence[int]], owners: Sequence[int] | None = None
    ) -> Tensor:
        """Log-probabilities of completions, ``[N]``, where nothing but the question stands before them."""
        nothing = torch.zeros(0, self.lm.width)
        prompts = [self.encoder.prompt_ids(observation) for observation in observations]
        return self.language_model.score(nothing, prompts, completions, owners).logprobs.sum(1)

    def begin(self, scored: Scored) -> Begun:
        """What ``act`` would have answered where completions were scored, as far as scoring tells.

        Args:
            scored: with contexts.
        """
        return self.language_model.begin(scored, self.max_new_tokens, self.encoder.stop_ids)

    def grow(self, begun: Sequence[Begun], leave: int = 0) -> list[Begun]:
        """Go on with what ``act`` would have answered, token for token, at a fraction of the cost.

        Args:
            begun: the soft prompt may have learnt between one and the next, the model may not.
            leave: how many answers may be left growing, to go on with others beside.
        """
        return self.language_model.grow(begun, self.max_new_tokens, self.encoder.stop_ids, leave)

    def answers(self, grown: Begun) -> list[Answer]:
        """What ``act`` would have answered, once nothing grows any more."""
        assert not grown.growing
        return [Answer(tokens, self.encoder.text(tokens)) for tokens in grown.said]

    @property
    def foresees(self) -> bool:
        """Whether ``begin`` can be asked for: whether the model keeps a plain cache of keys and values."""
        return self.language_model.shares_prefix

    @property
    def derives_some(self) -> bool:
        """Whether gradients can be computed for some of the completions that are scored together alone."""
        return self.language_model.backbone.derives_some

    @property
    def model_learns(self) -> bool:
        """Whether the model's own computation learns, too, so that nothing computed before a step holds after it."""
        return bool(self.language_model.backbone.learnt)

    def _check_length(self, soft: Soft, rows: Sequence[tuple[int, int]]) -> None:
        """Refuse a question and its answer, of so many tokens, that are longer than what the model says it reads."""
        (question, answer), most = max(rows, key=sum), self.lm.context
        if most is not None and soft.columns + question + answer > most:
            raise AgentError(
                f"a soft prompt of {soft.columns} tokens, a question of {question} and an answer of up to {answer} are "
                f"more than the {most} that model {self.lm.name!r} reads"
            )
