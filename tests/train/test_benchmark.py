"""The benchmark on a tiny model: what it measures, how it counts, and what it refuses."""

import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from reasoning_arena.agents.errors import AgentError
from reasoning_arena.agents.models import LoadedModel, load_model
from reasoning_arena.agents.policy import SoftPromptPolicy
from reasoning_arena.train.benchmark import __main__ as command
from reasoning_arena.train.benchmark.__main__ import main
from reasoning_arena.train.benchmark.arithmetic import Products, counted_flops
from reasoning_arena.train.benchmark.contest import Measurement, asked, peak_memory, start
from reasoning_arena.train.benchmark.contestants import CONTESTANTS
from reasoning_arena.train.benchmark.grpo import paid
from reasoning_arena.train.benchmark.ours import ours_batch, ours_reward, ours_sequential
from reasoning_arena.train.benchmark.prompt_tuning import PromptTuning
from reasoning_arena.train.benchmark.reference import ReferenceLoop
from reasoning_arena.train.benchmark.settings import ALL, Settings
from reasoning_arena.train.losses import per_token, weighted_completions
from reasoning_arena.train.processes import in_own_process
from torch.utils.flop_counter import FlopCounterMode

TINY = ("--dtype", "float32", "--device", "cpu", "--size", "small", "--seconds", "0.05", "--batch-size", "4")


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """To start a process takes seconds; one test does."""
    monkeypatch.setattr(command, "in_own_process", lambda work, *arguments: work(*arguments))


def run(folder: Path, *flags: str) -> int:
    return main(["--model", str(folder), *TINY, *flags])


@pytest.mark.usefixtures("in_this_process")
def test_everything_is_measured_and_compared(
    lm_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [name for name in ALL if not name.startswith("trl")]
    file = tmp_path / "figures.json"
    climb = ["--accuracy-seconds", "0.1", "--eval-episodes", "5", "--accuracy", "1"]
    assert run(lm_folder, "--contestants", *names, *climb, "--json", str(file)) == 0
    figures = json.loads(file.read_text())
    assert [one.name for one in tmp_path.iterdir()] == ["figures.json"]
    assert list(figures["contestants"]) == names
    for name, one in figures["contestants"].items():
        assert one["problem"] is None
        (measured,) = one["measurements"]
        assert one["rate"] == measured["rate"] > 0
        assert measured["done"] > 0
        assert one["peak_memory"] > 1e8
        assert measured["dtype"] == ("bfloat16" if "bfloat16" in name else "float32")
        climbed = measured["climb"]
        assert climbed is None if name == "ours-reward" else climbed["episodes"] > 0 and climbed["seconds"] is None
    batch, peft = (figures["contestants"][name]["rate"] for name in ("ours-batch", "peft-float32"))
    assert figures["ratios"]["ours-batch"]["peft-float32"] == pytest.approx(batch / peft)
    assert figures["ratios"]["ours-reward"] == {}  # nobody else counts completions
    step = figures["training_step"]
    assert step["product_flops"] > step["counted_flops"] > 0
    assert 0 < step["counted_share"] < step["share"]
    assert 0.4 * step["product_flops"] < step["answer_flops"] < 0.6 * step["product_flops"]
    out = capsys.readouterr().out
    allowed = 4 * step["product_rate"] / (step["product_flops"] + step["answer_flops"])  # four questions at a time
    assert f"after the step: {allowed:.1f} episodes/s" in out
    assert all(name in out for name in names)
    assert f"{batch / peft:.1f} ×" in out


@pytest.mark.usefixtures("in_this_process")
def test_who_cannot_be_measured_is_told(
    lm_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any) -> Measurement:
        raise RuntimeError("it broke\nin two lines")

    absent = CONTESTANTS["trl-float32"]._replace(needs=("no_such_package",))
    monkeypatch.setitem(CONTESTANTS, "trl-float32", absent)
    monkeypatch.setitem(CONTESTANTS, "trl-bfloat16", absent._replace(measure=broken, needs=()))
    file = tmp_path / "figures.json"
    names = "reference-float32", "trl-bfloat16", "trl-float32"
    assert run(lm_folder, "--contestants", *names, "--repeats", "2", "--json", str(file)) == 0
    figures = json.loads(file.read_text())["contestants"]
    assert [figures[name]["problem"] is None for name in names] == [True, False, False]
    out = capsys.readouterr().out
    assert "trl-float32           not installed: no_such_package" in out
    assert "trl-bfloat16          failed: RuntimeError: it broke\n" in out
    assert "episodes/s" in out


def test_a_process_of_its_own() -> None:
    cpu, held = torch.device("cpu"), torch.ones(500_000_000, dtype=torch.uint8)
    assert 1e8 < in_own_process(peak_memory, cpu) < peak_memory(cpu) - held.numel() / 2
    with pytest.raises(AgentError, match="there is no such folder"):
        in_own_process(load_model, "./nowhere")


def plain(lm_folder: Path, **changes: Any) -> tuple[LoadedModel, Settings]:
    settings = Settings(model=str(lm_folder), dtype="float32", device="cpu", soft_tokens=4, **changes).resolved()
    return load_model(settings.model, "cpu", "float32"), settings


def test_ours_is_asked_what_its_peers_are(lm_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lm, settings = plain(lm_folder, batch_size=3, questions=2)
    for make, size in ((ours_sequential, 1), (ours_batch, 3), (ours_reward, 2)):
        ours, seen = make(lm, settings, 10), []
        read = ours.policy.encoder.prompt_ids
        monkeypatch.setattr(ours.policy.encoder, "prompt_ids", lambda one: (seen.append(one), read(one))[1])  # noqa: B023
        assert sum(ours.step() for _ in range(2)) == 2 * size * (8 if make is ours_reward else 1)
        ours.settle()
        rounds = 2 if make is ours_reward else 3  # supervised, the next questions are read ahead
        expected = [question for batch in islice(asked(settings, size), rounds) for question, _ in batch]
        assert list(dict.fromkeys(seen)) == expected


def test_peers_descend_the_gradient_that_ours_does(lm_folder: Path) -> None:
    lm, settings = plain(lm_folder, batch_size=1)
    ((question, gold),) = next(asked(settings, 1))
    policy = SoftPromptPolicy(lm, start(lm, settings), chat_template=False)
    scored = policy.score([question], [policy.encoder.completion_ids(gold)])
    weighted_completions(scored, per_token(scored), 1).backward()
    expected = policy.soft_prompt.weight.grad
    assert expected is not None
    for make in (ReferenceLoop, PromptTuning):
        peer = make(load_model(settings.model, "cpu", "float32"), settings, 1)
        before = peer.soft_prompt.clone()
        assert torch.equal(before, start(lm, settings).weight)
        assert peer.step() == 1
        found = peer.weight.grad
        assert found is not None
        similar = torch.cosine_similarity(found.flatten(), expected.flatten(), dim=0)  # one of them is clipped
        assert similar > 0.9999
        assert not torch.equal(peer.soft_prompt, before)


def test_trl_is_paid_like_ours() -> None:
    said = ["Bob", " Bob\n", "Ann", [{"role": "assistant", "content": "Bob"}]]
    assert paid(completions=said, gold=["Bob"] * 4, prompts=[]) == [1.0, 1.0, -1.0, 1.0]


def test_matrix_products_are_counted_as_torch_counts_them(lm: LoadedModel) -> None:
    policy = SoftPromptPolicy(lm, start(lm, Settings()), chat_template=False)
    question, target = "Ann is taller than Bob. Who is the tallest?", policy.encoder.completion_ids("Ann")

    def step(n: int) -> None:
        scored = policy.score([question] * n, [target] * n)
        weighted_completions(scored, per_token(scored), n).backward()

    prompts = [policy.encoder.prompt_ids(question)]
    for n in (1, 5):
        with FlopCounterMode(display=False) as torchs, Products() as products:
            step(n)
        assert products.flops == torchs.get_total_flops()
        by_operator = torchs.get_flop_counts()["Global"]
        linear = sum(flops for operator, flops in by_operator.items() if "bmm" not in str(operator))
        if n == 1:  # nothing is shared and nothing padded
            assert counted_flops(lm, 8, prompts, [target]) == pytest.approx(linear, rel=0.03)
    assert products.seconds(torch.device("cpu")) > 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--seconds", "0"], "--seconds 0.0"),
        (["--accuracy-seconds", "-1"], "--accuracy-seconds -1.0"),
        (["--accuracy", "30"], "--accuracy 30.0"),
        (["--repeats", "0"], "--repeats 0"),
        (["--samples-per-question", "1"], "--samples-per-question 1"),
        (["--max-new-tokens", "0"], "--max-new-tokens 0"),
        (["--tasks", "chess"], "chess"),
        (["--device", "abacus"], "abacus"),
        (["--json", "no/such/folder/figures.json"], "no/such/folder"),
        (["--model", "./nowhere"], "./nowhere"),
    ],
)
def test_what_is_not_allowed_is_one_line(flags: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--device", "cpu", *flags]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1
    assert message in err


def test_nobody_unknown_is_measured() -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--contestants", "somebody"])
    assert stop.value.code == 2
