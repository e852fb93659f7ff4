"""The studies, on a tiny model: what they compute, refuse and write; what the pieces that they are made of do."""

import json
import statistics
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from reasoning_arena.agents.models import load_model
from reasoning_arena.train import compare, continual, difficulty, federated, meta, recipe, run
from reasoning_arena.train.checkpoint import latest_checkpoint, load_soft_prompt, load_state
from reasoning_arena.train.config import Config
from reasoning_arena.train.online import train
from reasoning_arena.train.optimizer import Update
from reasoning_arena.train.phases import Phases, mean_state, towards
from reasoning_arena.train.studies import mean_and_error
from reasoning_arena.train.supervised import SupervisedRound

FEW = "--training.eval-episodes", "10"
TWO = "--training.tasks", "math", "grid"


def flags(folder: Path, *more: str) -> list[str]:
    return [
        "--training.model", str(folder), "--training.dtype", "float32", "--training.device", "cpu",
        "--training.soft-tokens", "3", "--training.max-new-tokens", "4",
        "--training.own-tokens", "2", "--training.batch-size", "4", "--seeds", "0", "1", *more,
    ]  # fmt: skip


def config(folder: Path, **changes: object) -> Config:
    settings = {"model": str(folder), "dtype": "float32", "device": "cpu", "soft_tokens": 3, "max_new_tokens": 4}
    return Config(**(settings | {"eval_episodes": 10, "batch_size": 4} | changes))  # type: ignore[arg-type]


def test_streams_ask_different_questions_from_any_state(lm_folder: Path) -> None:
    one, other = (Phases(config(lm_folder, tasks=("math", "grid"))) for _ in range(2))
    begin = one.state
    one.learn(["math"], 8, stretch=0)
    first = one.state
    one.state = begin
    one.learn(["math"], 8, stretch=1)
    assert not torch.equal(first["weight"], one.state["weight"])  # other questions
    other.learn(["math"], 8, stretch=0)
    assert torch.equal(first["weight"], other.state["weight"])
    assert set(one.accuracy()) == {"all", "math", "grid"}


def test_states_are_averaged_and_moved() -> None:
    a, b = {"weight": torch.tensor([0.0, 2.0])}, {"weight": torch.tensor([4.0, 2.0])}
    assert mean_state([a, b])["weight"].tolist() == [2, 2]
    preamble = {"preamble": torch.rand(1000, generator=torch.Generator().manual_seed(0))}
    assert torch.equal(mean_state([preamble] * 5)["preamble"], preamble["preamble"])
    assert towards(a, b, 0.25)["weight"].tolist() == [1, 2]


def test_forgetting_and_transfer_are_what_they_say() -> None:
    curve = [{"a": 0.1, "b": 0.2}, {"a": 0.9, "b": 0.3}, {"a": 0.5, "b": 0.8}, {"a": 0.8, "b": 0.7}]
    found = continual.figures(("a", "b", "a"), curve)
    assert found["forgetting"] == pytest.approx((0.4 + 0.1) / 2)  # a during b, b during a
    curve[2]["a"] = 1.0
    assert continual.figures(("a", "b", "a"), curve)["forgetting"] == pytest.approx((-0.1 + 0.1) / 2)  # b helped a
    assert found["transfer"] == pytest.approx(0.1)  # b during the first a


def test_the_interval_is_students() -> None:
    mean, error = mean_and_error([0.5, 0.6, 0.7])
    assert mean == pytest.approx(0.6)
    assert error == pytest.approx(4.303 * 0.1 / 3**0.5)
    assert mean_and_error([0.5]) == (0.5, 0.0)
    for n, quantile in ((6, 2.571), (11, 2.228), (101, 1.984)):
        values = [float(i) for i in range(n)]
        assert mean_and_error(values)[1] == pytest.approx(quantile * statistics.stdev(values) / n**0.5, rel=0.01)


def test_continual_learning(lm_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--phases", "math", "grid", "--episodes", "8", "--out", str(tmp_path / "out")]
    assert continual.main([*arguments, *flags(lm_folder, *FEW)]) == 0
    assert "per-task" in capsys.readouterr().out
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert list(results["variants"]) == ["soft-prompt", "soft-prompt+replay", "per-task"]
    assert [len(run["accuracy"]) for run in results["variants"]["per-task"]] == [3, 3]


def test_federated_averaging(lm_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert federated.main(["--clients", "2", "--rounds", "2", "--episodes", "4", *TWO, *flags(lm_folder, *FEW)]) == 0
    out = capsys.readouterr().out
    assert "federated" in out
    assert "central" in out


def test_meta_learning_saves_a_start(lm_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--steps", "3", "--episodes", "4", "--adapt", "0", "4", "--save", str(tmp_path / "start")]
    assert meta.main([*arguments, *flags(lm_folder, *FEW)]) == 0
    assert "meta-learnt start" in capsys.readouterr().out
    lm = load_model(str(lm_folder), "cpu", "float32")
    assert load_soft_prompt(tmp_path / "start", lm).weight.shape == (3, lm.width)


def test_the_comparison_trains_for_equally_long(
    lm_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--learners", "soft-prompt", "--objectives", "supervised", "reward", "--minutes", "0.01"]
    assert compare.main([*arguments, "--problems", "10", "--out", str(tmp_path / "out"), *flags(lm_folder)]) == 0
    assert "± " in capsys.readouterr().out
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert len(results["runs"]) == 4
    assert all(0.6 <= run["training_seconds"] < 6 for run in results["runs"])
    assert (tmp_path / "out" / "comparison.png").read_bytes()[:4] == b"\x89PNG"


def test_a_comparison_goes_on_where_it_was_interrupted(
    lm_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    arguments = ["--minutes", "0.01", "--problems", "10", "--out", str(out), *flags(lm_folder), "--seeds", "0"]
    some = ["--learners", "soft-prompt", "--objectives"]
    assert compare.main([*some, "supervised", *arguments]) == 0
    first = json.loads((out / "results.json").read_text())["runs"]

    monkeypatch.setattr(compare, "draw", interrupted)  # when everything has been run
    assert compare.main([*some, "supervised", "contrastive", *arguments]) == 130
    then = json.loads((out / "results.json").read_text())["runs"]
    assert then[:1] == first  # to the last digit of its time: it is not run again
    assert [one["objective"] for one in then] == ["supervised", "contrastive"]

    assert compare.main([*some, "supervised", *arguments]) == 2  # it would drop one of them
    assert "no part of this study" in capsys.readouterr().err
    assert json.loads((out / "results.json").read_text())["runs"] == then


def test_the_recipe_is_changed_one_flag_at_a_time(
    lm_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = ['init-text "Answer with the final answer only." --soft-tokens 5', "lr 0.2"]  # the latter changes nothing
    arguments = ["--changes", *changes, "--minutes", "0.01", "--problems", "10", "--out", str(tmp_path)]
    arguments += [*flags(lm_folder), "--seeds", "0"]
    assert recipe.main(arguments) == 0
    assert 'only." --soft-tokens 5` |' in capsys.readouterr().out
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["split"] == "validation"
    width = results["runs"][0]["parameters"] // 3
    assert [one["parameters"] for one in results["runs"]] == [3 * width, 5 * width, 3 * width]
    assert [one["change"] for one in results["runs"]] == ["", *changes]

    assert recipe.main(arguments) == 0  # everything has been run
    assert json.loads((tmp_path / "results.json").read_text()) == results


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_run_ends_by_the_clock(lm_folder: Path, tmp_path: Path) -> None:
    results = train(config(lm_folder, minutes=0.02, run_dir=tmp_path / "run", quiet=True))
    assert 1.2 <= results["training_seconds"] < 4
    assert results["evaluations"][-1]["episode"] == results["training"][-1]["episode"]
    rate = load_state(latest_checkpoint(tmp_path / "run"))["optimizer"]["adam"]["param_groups"][0]["lr"]
    again = train(Config(resume=tmp_path / "run", quiet=True))
    assert again["training"] == results["training"]  # its time was over
    assert rate < 0.2 * config(lm_folder).resolved().lr  # near the end of the cosine


def test_a_run_of_few_steps_warms_up_and_ends_by_the_clock(
    lm_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, learn, rates = [0.0], SupervisedRound.play, []

    def play(self: SupervisedRound) -> Update | None:
        now[0] += 20.0  # seconds that a step takes
        update = learn(self)
        rates.append(self.optimizer.adam.param_groups[0]["lr"])
        return update

    monkeypatch.setattr(SupervisedRound, "play", play)
    monkeypatch.setattr(run, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    results = train(config(lm_folder, minutes=1.0, eval_interval=1000, run_dir=tmp_path / "run", quiet=True))
    assert len(results["training"]) == 3  # none is begun when time is up
    assert results["training_seconds"] == 60.0
    assert results["evaluations"][-1]["episode"] == results["training"][-1]["episode"]
    shares = [rate / rates[1] for rate in rates]
    assert shares[0] == pytest.approx(0.1 / 0.775)  # of a warm-up that a tenth of the time ends, long since over
    assert shares[2] == pytest.approx(0.325 / 0.775)


def test_generalisation_is_measured_elsewhere(lm_folder: Path, tmp_path: Path) -> None:
    results = train(config(lm_folder, episodes=4, generalisation=True, run_dir=tmp_path / "run", quiet=True))
    kinds = {"held_out_phrasings", "one_difficulty_up", "unseen_tasks"}
    assert [set(one["generalisation"]) for one in results["evaluations"]] == [kinds, kinds]


@pytest.mark.parametrize(
    ("study", "arguments", "said"),
    [
        (continual, ["--variants", "soft-prompt+magic"], "magic"),
        (continual, ["--phases", "algebra"], "algebra"),
        (continual, ["--variants", "soft-prompt", "soft_prompt"], "soft_prompt"),
        (continual, ["--training.eval-episodes", "1"], "evaluate on more"),
        (continual, ["--seeds"], "--seeds"),
        (compare, ["--seeds", "0", "0"], "--seeds"),
        (recipe, ["--changes", "lr 0.1", "lr 0.1"], "twice"),
        (federated, ["--clients", "9"], "--clients 9"),
        (federated, ["--clients", "2"], "dealt out"),
        (federated, ["--episodes", "6"], "--episodes 6"),
        (meta, ["--adapt", "0", "3"], "--adapt"),
        (meta, ["--save", "."], "--save"),
        (compare, ["--out", "pyproject.toml"], "pyproject.toml"),
        (continual, ["--out", "runs/federated"], "name another folder"),
        (compare, ["--training.kl", "0.1"], "--kl"),
        (recipe, ["--changes", "tasks math"], "tasks"),
        (recipe, ["--changes", 'init-text "x'], "cannot be read"),
        (meta, ["--adapt", "5", "3"], "--adapt"),
        (compare, ["--minutes", "-1"], "--minutes"),
        (federated, ["--training.episodes", "8"], "--training.episodes"),
        (federated, ["--training.seed", "8"], "--training.seed"),
        (continual, ["--training.learner", "lora"], "--training.learner"),
        (compare, ["--training.eval-episodes", "8"], "--training.eval-episodes"),
    ],
)
def test_mistakes_get_one_line(
    study: object, arguments: list[str], said: str, lm_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert study.main([*flags(lm_folder), *arguments]) == 2  # type: ignore[attr-defined]
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: ")
    assert said in last


def test_difficulty_is_felt(lm_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--tasks", "math", "lists", "--episodes", "8", "--problems", "6", "--answer-tokens", "5"]
    settings = flags(lm_folder)
    at = settings.index("--training.max-new-tokens")  # the study decides it
    settings[at : at + 2] = []
    assert difficulty.main([*arguments, "--out", str(tmp_path / "out"), *settings]) == 0
    assert "· " in capsys.readouterr().out
    found = json.loads((tmp_path / "out" / "results.json").read_text())["tasks"]
    assert list(found) == ["math", "lists"]
    assert [len(run["nats"]) for run in found["lists"]] == [5, 5]  # difficulties, twice for two seeds
    # A model that knows nothing gives each token of a solution about the same, and harder problems have longer ones.
    assert all(run["nats"][4] > run["nats"][0] > 0 for runs in found.values() for run in runs)
