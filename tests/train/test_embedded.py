"""The main job on the real embedded model, whose checkpoint the real PEFT loads."""

import json
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from reasoning_arena.agents.adapters import LowRankAdapters
from reasoning_arena.agents.language_model import LanguageModel
from reasoning_arena.agents.models import DtypeName, load_model
from reasoning_arena.agents.policy import SoftPromptPolicy
from reasoning_arena.envs import ReasoningArenaVectorEnv
from reasoning_arena.train.checkpoint import load_soft_prompt
from reasoning_arena.train.online import main

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(900)]


def test_it_learns_and_peft_gives_the_same_greedy_answers(tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = ["--episodes", "16", "--eval-interval", "16", "--eval-episodes", "5", "--dtype", "float32"]
    assert main([*arguments, "--run-dir", str(run), "--quiet"]) == 0
    training = json.loads((run / "results.json").read_text())["training"]
    assert training[-1]["loss"] < training[0]["loss"]
    checkpoint = run / "checkpoints" / "episode-000016"
    lm = load_model(dtype="float32")
    policy = SoftPromptPolicy(lm, load_soft_prompt(checkpoint), max_new_tokens=12)
    questions, _ = ReasoningArenaVectorEnv(4, split="test").reset(seed=0)
    answers = policy.act(questions)
    assert json.loads((checkpoint / "adapter_config.json").read_text())["base_model_name_or_path"] == lm.path
    stops = sorted(policy.encoder.stop_ids)
    peft = PeftModel.from_pretrained(load_model(dtype="float32").model, checkpoint)
    for question, answer in zip(questions, answers, strict=True):
        ids = torch.tensor([policy.encoder.prompt_ids(question)])
        mask = torch.ones_like(ids)
        out = peft.generate(
            input_ids=ids, attention_mask=mask, max_new_tokens=12, do_sample=False, eos_token_id=stops, pad_token_id=0
        )
        assert tuple(out[0, ids.shape[1] :].tolist()) == answer.tokens


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_its_adapters_are_computed_in_the_fast_way(dtype: DtypeName) -> None:
    lm = load_model(dtype=dtype)
    LowRankAdapters(lm, torch.zeros(1, lm.width), 8, prompt_learns=False, seed=0)
    assert LanguageModel(lm).backbone.fused is not None
