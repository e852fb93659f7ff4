"""What the policy refuses to read."""

import pytest
import torch
from reasoning_arena.agents.errors import AgentError
from reasoning_arena.agents.models import LoadedModel
from reasoning_arena.agents.policy import SoftPromptPolicy
from reasoning_arena.agents.soft_prompt import SoftPrompt

LONG, SHORT = "What is the sum of one and one and one and one?", "What?"


def test_each_question_has_to_fit_with_its_own_answer(lm: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = SoftPromptPolicy(lm, SoftPrompt(torch.zeros(3, lm.width)), max_new_tokens=1)
    long, short = (len(policy.encoder.prompt_ids(one)) for one in (LONG, SHORT))
    answers = [(5,) * short, (5,) * long]
    monkeypatch.setattr(LoadedModel, "context", 3 + long + short)
    assert policy.score([LONG, SHORT], answers).logprobs.shape == (2, long)
    assert policy.score([LONG, SHORT], answers[::-1], [1, 0]).logprobs.shape == (2, long)
    for owners in (None, [0, 1]):
        with pytest.raises(AgentError, match=f"3 tokens, a question of {long} and an answer of up to {long} are more"):
            policy.score([LONG, SHORT], answers[::-1], owners)
