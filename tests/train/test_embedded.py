"""The main job on the real embedded model, looked at with the real PEFT and the real TensorBoard."""

import json
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from reasoning_arena.agents.models import load_model
from reasoning_arena.agents.policy import SoftPromptPolicy
from reasoning_arena.envs import ReasoningArenaVectorEnv
from reasoning_arena.train.checkpoint import load_soft_prompt
from reasoning_arena.train.online import main

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("embedded") / "run"
    arguments = ["--episodes", "16", "--eval-interval", "16", "--eval-episodes", "10", "--dtype", "float32"]
    assert main([*arguments, "--run-dir", str(folder), "--quiet"]) == 0
    return folder


def test_peft_gives_the_same_greedy_answers(run: Path) -> None:
    checkpoint = run / "checkpoints" / "episode-000016"
    lm = load_model(dtype="float32")
    policy = SoftPromptPolicy(lm, load_soft_prompt(checkpoint), max_new_tokens=12)
    questions, _ = ReasoningArenaVectorEnv(6, split="test").reset(seed=0)
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


def test_learning_has_begun(run: Path) -> None:
    training = json.loads((run / "results.json").read_text())["training"]
    assert training[-1]["loss"] < training[0]["loss"]


def test_tensorboard_serves_the_run(run: Path) -> None:
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(run), "--port", "0", "--host", "127.0.0.1"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        assert server.stderr is not None
        address = None
        while address is None:
            line = server.stderr.readline()
            assert line, "TensorBoard ended before it served"
            address = re.search(r"http://127\.0\.0\.1:\d+/", line)
        tags: dict[str, dict[str, object]] = {}
        deadline = time.monotonic() + 60
        while not tags and time.monotonic() < deadline:
            with urllib.request.urlopen(f"{address[0]}data/plugin/scalars/tags") as answer:
                tags = json.loads(answer.read())
            time.sleep(0.5)
        (served,) = tags.values()
        assert {"train/loss", "eval/accuracy", "train/accuracy_after"} <= set(served)
    finally:
        server.terminate()
        server.wait(30)
        assert server.stderr is not None
        server.stderr.close()
