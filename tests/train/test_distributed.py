"""Two processes that torchrun starts learn what one process learns; errors and interrupts end both."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from reasoning_arena.train import distributed
from reasoning_arena.train.checkpoint import load_state
from reasoning_arena.train.config import Config
from reasoning_arena.train.errors import TrainingError
from reasoning_arena.train.online import main, train

SETTINGS: dict[str, Any] = {
    "episodes": 16,
    "batch_size": 4,
    "eval_interval": 8,
    "eval_episodes": 11,  # more for one process than for the other
    "soft_tokens": 4,
    "max_new_tokens": 6,
    "replay": 2,
    "dtype": "float32",
    "device": "cpu",
    "tasks": ("comparison",),  # three answers allowed, which "exact" has paid: nothing is sampled
}


def torchrun(
    *arguments: str, module: tuple[str, ...] = ("-m", "reasoning_arena.train.online")
) -> subprocess.Popen[str]:
    """Two processes; what they say comes through one pipe."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [*command, *module, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )


def flags(folder: Path, run: Path, **changes: Any) -> list[str]:
    settings = SETTINGS | {"model": folder, "run_dir": run} | changes
    return [f"--{k.replace('_', '-')}={v[0] if isinstance(v, tuple) else v}" for k, v in settings.items()]


def ended(process: subprocess.Popen[str], code: int = 0) -> str:
    said, _ = process.communicate(timeout=120)
    assert process.returncode == code, said
    return said


def learnt(run: Path, episode: int = 16) -> torch.Tensor:
    steering = load_state(run / "checkpoints" / f"episode-{episode:06d}")["steering"]
    return torch.cat([numbers.flatten() for numbers in steering.values()])


@pytest.mark.parametrize(
    ("loss", "learner"), [("supervised", "soft-prompt"), ("reward", "soft-prompt"), ("supervised", "hybrid")]
)
def test_two_processes_learn_what_one_does(lm_folder: Path, tmp_path: Path, loss: str, learner: str) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    settings = SETTINGS | {"loss": loss, "learner": learner}
    train(Config(model=str(lm_folder), run_dir=one, quiet=True, **settings))
    said = ended(torchrun(*flags(lm_folder, two, loss=loss, learner=learner)))
    moved = (learnt(one) - learnt(one, 0)).norm()
    assert (learnt(one) - learnt(two)).norm() < 1e-3 * moved
    alone, together = (json.loads((run / "results.json").read_text()) for run in (one, two))
    assert alone["evaluations"] == together["evaluations"]
    assert len(alone["training"]) == len(together["training"]) == 4
    for mine, theirs in zip(alone["training"], together["training"], strict=True):
        assert mine == pytest.approx(theirs, rel=1e-3)
    assert said.count("held-out accuracy") == 1
    assert len(set(re.findall(r"evaluating 0/(\d+)", said))) == 1  # of one process: the other has fewer to answer
    assert len(list(two.glob("events.*"))) == 1
    assert len(load_state(two / "checkpoints" / "episode-000016")["learning"]) == 2

    if loss == "supervised":  # both go on alike, however many processes there were
        assert main(["--resume", str(two), "--episodes", "24", "--quiet"]) == 0
        ended(torchrun("--resume", str(one), "--episodes", "24", "--quiet"))
        assert (learnt(one, 24) - learnt(two, 24)).norm() < 1e-3 * moved


def test_samples_differ_and_a_resumed_run_equals_an_uninterrupted_one(lm_folder: Path, tmp_path: Path) -> None:
    settings = {"estimator": "reinforce", "tasks": ("math",), "loss": "reward", "eval_interval": 8}
    ended(torchrun(*flags(lm_folder, tmp_path / "whole", **settings)))
    shutil.copytree(tmp_path / "whole", tmp_path / "part")
    shutil.rmtree(tmp_path / "part" / "checkpoints" / "episode-000016")  # it stopped after eight episodes
    ended(torchrun("--resume", str(tmp_path / "part"), "--quiet"))
    assert torch.equal(learnt(tmp_path / "whole"), learnt(tmp_path / "part"))
    states = load_state(tmp_path / "whole" / "checkpoints" / "episode-000008")["learning"]
    drawn = [torch.Generator(), torch.Generator()]
    for generator, state in zip(drawn, states, strict=True):
        generator.set_state(state["generator"])
    assert not torch.equal(*(torch.rand(8, generator=generator) for generator in drawn))


BROKEN = """
import os, sys, torch
from reasoning_arena.agents import language_model
from reasoning_arena.train.online import main
if os.environ["RANK"] == "1":
    plain = language_model.LanguageModel.score
    def broken(*args, **kwargs):
        scored = plain(*args, **kwargs)
        return scored._replace(logprobs=scored.logprobs * float("nan")) if torch.is_grad_enabled() else scored
    language_model.LanguageModel.score = broken
sys.exit(main())
"""


def test_one_process_without_a_number_ends_both(lm_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(BROKEN)
    run = tmp_path / "run"
    said = ended(torchrun(*flags(lm_folder, run), module=(str(tmp_path / "broken.py"),)), 1)
    assert re.search(r"^error: .* is nan", said, re.MULTILINE), said
    assert "reasoning_arena/train" not in said, "a traceback of this project's"
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["episode-000000"]


def test_an_interrupt_saves_everything_and_ends_both(lm_folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = torchrun(*flags(lm_folder, run, episodes=100_000, eval_interval=50_000))
    assert process.stdout is not None
    seen = ""
    while not re.search(r"learning: .* [1-9]\d*/", seen):
        seen += process.stdout.read(1)
        assert process.poll() is None, seen
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    assert process.returncode
    assert rest.count("--resume") == 1, rest
    last = sorted((run / "checkpoints").iterdir())[-1]
    episode = int(last.name.split("-")[1])
    assert episode > 0
    assert json.loads((run / "results.json").read_text())["training"][-1]["episode"] == episode


ONE_SIDED = """
import os, sys
from reasoning_arena.train.online import main
from reasoning_arena.train.reward import RewardRound
if os.environ["RANK"] == "1":
    RewardRound._weights = lambda self, group, rewards: 0 * rewards
sys.exit(main())
"""


def test_a_process_with_nothing_to_learn_goes_along(lm_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "one_sided.py").write_text(ONE_SIDED)
    run = tmp_path / "run"
    settings = flags(lm_folder, run, loss="reward", replay=0)
    ended(torchrun(*settings, module=(str(tmp_path / "one_sided.py"),)))
    training = json.loads((run / "results.json").read_text())["training"]
    assert [one["episode"] for one in training] == [4, 8, 12, 16]
    assert all(one["loss"] is not None for one in training)
    assert not torch.equal(learnt(run, 0), learnt(run))


def test_a_batch_that_cannot_be_divided_is_refused(
    lm_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = ended(torchrun(*flags(lm_folder, tmp_path / "run", batch_size=3)), 1)
    assert re.search(r"^error: --batch-size 3 .* 2 processes", said, re.MULTILINE), said
    monkeypatch.setattr(distributed, "size", lambda: 2)
    assert main(flags(lm_folder, tmp_path / "run", replay=1)) == 2
    assert re.search(r"^error: --replay 1 .* 2 processes", capsys.readouterr().err, re.MULTILINE)
    assert not (tmp_path / "run").exists()


def test_a_device_that_is_not_there_is_left_to_be_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "size", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert [distributed.own_device(device) for device in ("cuda", "auto", "cpu")] == ["cuda", "auto", "cpu"]


def test_only_a_broken_connection_is_blamed_on_another_process() -> None:
    def failing(error: RuntimeError) -> None:
        raise error

    with pytest.raises(torch.OutOfMemoryError):
        distributed._meeting(failing)(torch.OutOfMemoryError("full"))
    with pytest.raises(TrainingError, match="another process"):
        distributed._meeting(failing)(RuntimeError("connection closed by peer"))
