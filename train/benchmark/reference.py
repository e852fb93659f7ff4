"""The loop that this project descends from, as its experiment ran it: one question, one step, nothing shared.

Generate an answer, cross-entropy on the gold answer, one step of Adam on the soft prompt, generate again.
"""

from typing import Any

import torch
from reasoning_arena.agents.encoding import Encoder
from reasoning_arena.agents.models import LoadedModel
from reasoning_arena.train.benchmark.contest import asked, start, tokens
from reasoning_arena.train.benchmark.settings import ResolvedSettings
from torch import Tensor, nn

LR = 1e-3
CLIP_NORM = 1.0


class ReferenceLoop:
    """One question at a time.

    Args:
        lm: the frozen model.
        settings: which questions.
        steps: of no importance, its learning rate stays.
    """

    def __init__(self, lm: LoadedModel, settings: ResolvedSettings, steps: int) -> None:
        self.lm, self.model = lm, lm.model
        self.encoder = Encoder(lm, settings.chat_template)
        self.weight = nn.Parameter(start(lm, settings).weight.detach().clone())  # (P, D)
        self.optimizer = torch.optim.Adam([self.weight], lr=LR)
        self.max_new_tokens = settings.max_new_tokens
        self.questions = asked(settings, 1)

    @property
    def soft_prompt(self) -> Tensor:
        """What has been learnt so far."""
        return self.weight.detach()

    def step(self) -> int:
        """One episode."""
        ((question, gold),) = next(self.questions)
        prompt, target = tokens(self.encoder, question, gold)
        self._answer(prompt)
        embeds = self._embeds(prompt + target)  # (1, P + L, D)
        ignored = [-100] * (embeds.shape[1] - len(target))
        labels = torch.tensor([ignored + target], device=self.lm.device)
        loss = self.model(inputs_embeds=embeds, attention_mask=torch.ones_like(labels), labels=labels).loss
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_([self.weight], CLIP_NORM)
        self.optimizer.step()
        loss.item()
        self._answer(prompt)
        return 1

    def settle(self) -> None:
        """Nothing waits."""

    def _embeds(self, ids: list[int]) -> Tensor:
        text: Tensor = self.model.get_input_embeddings()(torch.tensor([ids], device=self.lm.device))
        return torch.cat([self.weight.to(text.dtype)[None], text], 1)

    @torch.no_grad()
    def _answer(self, prompt: list[int]) -> str:
        embeds = self._embeds(prompt)
        generate: Any = self.model.generate
        said = generate(
            inputs_embeds=embeds,
            attention_mask=torch.ones(embeds.shape[:2], dtype=torch.long, device=embeds.device),
            max_new_tokens=self.max_new_tokens,
            do_sample=False,
            pad_token_id=self.encoder.stop_id,
            eos_token_id=sorted(self.encoder.stop_ids),
        )
        return str(self.lm.tokenizer.decode(said[0], skip_special_tokens=True))
