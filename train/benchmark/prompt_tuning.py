"""PEFT's prompt tuning, supervised: a batch's training step and nothing else, so that no answer is ever predicted."""

import torch
from reasoning_arena.agents.encoding import Encoder
from reasoning_arena.agents.models import LoadedModel
from reasoning_arena.agents.soft_prompt import embedding_rms
from reasoning_arena.train.benchmark.contest import asked, start, tokens
from reasoning_arena.train.benchmark.settings import ResolvedSettings
from torch import Tensor

LR = 0.2  # times the embeddings' root mean square: our own, since PEFT names none


class PromptTuning:
    """Batches of questions and gold answers.

    Args:
        lm: the frozen model.
        settings: which questions, and how many to a step.
        steps: of no importance, its learning rate stays.
    """

    def __init__(self, lm: LoadedModel, settings: ResolvedSettings, steps: int) -> None:
        from peft import PromptTuningConfig, TaskType, get_peft_model

        self.lm = lm
        self.encoder = Encoder(lm, settings.chat_template)
        config = PromptTuningConfig(task_type=TaskType.CAUSAL_LM, num_virtual_tokens=settings.soft_tokens)
        self.model = get_peft_model(lm.model, config)
        (self.weight,) = (one for one in self.model.parameters() if one.requires_grad)  # (P, D)
        self.weight.data.copy_(start(lm, settings).weight)
        self.optimizer = torch.optim.Adam([self.weight], lr=LR * embedding_rms(lm))
        self.questions = asked(settings, settings.batch_size)

    @property
    def soft_prompt(self) -> Tensor:
        """What has been learnt so far."""
        return self.weight.detach()

    def step(self) -> int:
        """One training step."""
        rows = [tokens(self.encoder, *one) for one in next(self.questions)]
        width = max(len(prompt) + len(target) for prompt, target in rows)
        ids, labels, mask = [], [], []
        for prompt, target in rows:
            pads = width - len(prompt) - len(target)
            ids.append(prompt + target + [self.encoder.stop_id] * pads)
            labels.append([-100] * len(prompt) + target + [-100] * pads)
            mask.append([1] * (width - pads) + [0] * pads)
        batch = {"input_ids": ids, "labels": labels, "attention_mask": mask}
        loss = self.model(**{name: torch.tensor(one, device=self.lm.device) for name, one in batch.items()}).loss
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        loss.item()
        return len(rows)

    def settle(self) -> None:
        """Nothing waits."""
