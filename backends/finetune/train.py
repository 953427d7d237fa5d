"""Trains a LoRA with TRL's SFTTrainer and writes it in PEFT's layout, which vLLM loads."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from backends.errors import Refused
from backends.finetune.bases import linear_layers, open_base, open_tokenizer, require_extra
from backends.finetune.encode import encoded
from backends.finetune.examples import Example
from backends.finetune.recipe import Recipe, Trained, epochs_for, rate_for

CHECKPOINTS: Final = "checkpoints"
METRICS: Final = "training.jsonl"
STAMP: Final = "training.json"
_SAVES: Final = 5


class Interrupted(Exception):
    """Training was asked to stop; its last checkpoint is at ``step``."""

    def __init__(self, step: int) -> None:
        super().__init__(f"stopped after step {step}")
        self.step = step


@dataclass(frozen=True, slots=True)
class Progress:
    """How far training is; ``metrics`` as the trainer logs them, such as the loss."""

    step: int
    steps: int
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Run:
    """One training, from its rows to its files.

    Attributes:
        base: Folder of the base model.
        base_name: What the adapter says that it was trained from.
        out: Folder that the adapter goes to; checkpoints and metrics lie in it too.
        stamp: Names what it is made of (`Recipe.fingerprint`); a checkpoint of another is refused.
        resume: Go on from the last checkpoint, if there is one.
        mlflow: Experiment to log to as well; empty for none.
    """

    base: Path
    base_name: str
    out: Path
    stamp: str
    resume: bool = False
    mlflow: str = ""


def train_adapter(
    examples: Sequence[Example],
    recipe: Recipe,
    run: Run,
    *,
    told: Callable[[Progress], None] = lambda _: None,
    stopping: Callable[[], bool] = lambda: False,
) -> Trained:
    """Train on rows and write ``adapter_config.json`` and ``adapter_model.safetensors``.

    Only answers are learnt. Checkpoints are written at every fifth of the way and when it is asked
    to stop, and removed at the end.

    Args:
        examples: At least one, none longer than the base reads.
        told: Is told after each step.
        stopping: Asked after each step.

    Raises:
        Interrupted: It was asked to stop; a checkpoint was written.
        Misconfigured: The extra is not installed, or the base cannot be opened.
        Refused: QLoRA without CUDA, or a checkpoint that belongs to another recipe or data.
    """
    require_extra()
    checkpoint = _checkpoint(run)
    began = perf_counter()
    tokenizer = open_tokenizer(run.base)
    model = open_base(run.base, quantised=recipe.quantised)
    epochs = recipe.epochs or epochs_for(len(examples), recipe.batch)
    recipe = replace(recipe, epochs=epochs)
    trainer = _trainer(model, tokenizer, examples, recipe, run)
    watch = _watch(told, stopping, run.out / METRICS, fresh=checkpoint is None)
    trainer.add_callback(watch)
    done = trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if watch.stopped and trainer.state.global_step < trainer.state.max_steps:
        raise Interrupted(trainer.state.global_step)
    adapted = trainer.model
    trained = Trained(
        steps=int(trainer.state.global_step),
        resumed_at=int(checkpoint.name.rpartition("-")[2]) if checkpoint else 0,
        epochs=epochs,
        loss=_last_loss(trainer.state.log_history, done.training_loss),
        seconds=perf_counter() - began,
        parameters=sum(one.numel() for one in adapted.parameters() if one.requires_grad),
        device=str(adapted.device),
        precision=str(model.dtype).removeprefix("torch."),
    )
    _write(adapted, run, trained)
    return trained


def trained_before(run: Run) -> Trained | None:
    """Return what training did whose files lie there complete; None where there is none.

    Raises:
        Refused: They belong to another adapter.
    """
    written = _read_stamp(run.out)
    if "trained" not in written or not (run.out / "adapter_model.safetensors").is_file():
        return None
    if written.get("stamp") != run.stamp:
        raise Refused(
            f"{run.out} holds an adapter that was made from other rows, another base or another "
            "recipe, and a version never changes.",
            backend="fine-tuning",
            hint="Name another folder with --out.",
        )
    return Trained(**written["trained"])


def _trainer(
    model: Any, tokenizer: Any, examples: Sequence[Example], recipe: Recipe, run: Run
) -> Any:
    datasets: Any = import_module("datasets")
    peft: Any = import_module("peft")
    trl: Any = import_module("trl")
    torch: Any = import_module("torch")
    cuda = torch.cuda.is_available()
    batch = min(recipe.batch, len(examples))
    assert recipe.epochs is not None, "the caller has chosen"
    steps = recipe.epochs * -(-len(examples) // batch)
    arguments = trl.SFTConfig(
        output_dir=str(run.out / CHECKPOINTS),
        per_device_train_batch_size=batch,
        num_train_epochs=recipe.epochs,
        learning_rate=recipe.learning_rate or rate_for(model.config.get_text_config().hidden_size),
        lr_scheduler_type="linear",
        warmup_steps=max(1, steps // 20),
        weight_decay=0.0,
        max_length=None,
        seed=recipe.seed,
        data_seed=recipe.seed,
        use_cpu=not cuda,
        bf16=cuda,
        # TRL saves memory by computing twice; a small model on a CPU has memory and no time.
        activation_checkpointing=cuda,
        dataloader_pin_memory=cuda,
        report_to=[],
        disable_tqdm=True,
        logging_steps=1,
        logging_strategy="steps",
        save_strategy="steps",
        save_steps=max(1, -(-steps // _SAVES)),
        save_total_limit=2,
    )
    lora = peft.LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=linear_layers(model),
        task_type="CAUSAL_LM",
    )
    rows = datasets.Dataset.from_list([encoded(tokenizer, example) for example in examples])
    trainer = trl.SFTTrainer(
        model=model,
        args=arguments,
        train_dataset=rows,
        processing_class=tokenizer,
        peft_config=lora,
    )
    transformers: Any = import_module("transformers")
    trainer.remove_callback(transformers.PrinterCallback)
    if run.mlflow:
        _log_to_mlflow(trainer, run)
    return trainer


def _watch(
    told: Callable[[Progress], None], stopping: Callable[[], bool], log: Path, *, fresh: bool
) -> Any:
    """Return a callback that tells, writes down, and stops when it is asked to."""
    transformers: Any = import_module("transformers")

    class Watch(transformers.TrainerCallback):  # type: ignore[misc]  # transformers is untyped
        """Follows one training."""

        stopped = False

        def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> Any:
            if stopping():
                self.stopped = True
                control.should_save = True
                control.should_training_stop = True
            return control

        def on_log(
            self, args: Any, state: Any, control: Any, logs: Any = None, **more: Any
        ) -> None:
            metrics = {
                name: float(value)
                for name, value in (logs or {}).items()
                if isinstance(value, int | float)
            }
            if "loss" not in metrics:
                return
            line = {"step": int(state.global_step), "steps": int(state.max_steps), **metrics}
            with log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            told(Progress(int(state.global_step), int(state.max_steps), metrics))

    if fresh:
        log.unlink(missing_ok=True)
    return Watch()


def _checkpoint(run: Run) -> Path | None:
    """Return the last checkpoint to go on from, and make the folder ready."""
    folder = run.out / CHECKPOINTS
    found = sorted(folder.glob("checkpoint-*"), key=lambda one: int(one.name.rpartition("-")[2]))
    if not run.resume:
        shutil.rmtree(folder, ignore_errors=True)
        found = []
    elif found and _read_stamp(run.out).get("stamp") != run.stamp:
        raise Refused(
            f"The checkpoint in {folder} was made from other rows, another base or another recipe.",
            backend="fine-tuning",
            hint="Start anew without --resume, or give the same data and options.",
        )
    run.out.mkdir(parents=True, exist_ok=True)
    _write_stamp(run, {})
    whole = [one for one in found if (one / "trainer_state.json").is_file()]
    return whole[-1] if whole else None


def _read_stamp(out: Path) -> Mapping[str, Any]:
    try:
        found = json.loads((out / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write_stamp(run: Run, more: Mapping[str, Any]) -> None:
    text = json.dumps({"stamp": run.stamp, **more}, indent=2) + "\n"
    (run.out / STAMP).write_text(text, encoding="utf-8")


def _write(model: Any, run: Run, trained: Trained) -> None:
    """Write the adapter; its config names the base as people do, not where it lay."""
    model.save_pretrained(str(run.out), safe_serialization=True)
    config = run.out / "adapter_config.json"
    written = json.loads(config.read_text(encoding="utf-8"))
    written["base_model_name_or_path"] = run.base_name
    written["target_modules"] = sorted(written["target_modules"])
    config.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
    (run.out / "README.md").unlink(missing_ok=True)
    _write_stamp(run, {"trained": trained.as_json()})
    shutil.rmtree(run.out / CHECKPOINTS, ignore_errors=True)


def _last_loss(history: Sequence[Mapping[str, Any]], fallback: float) -> float:
    """Mean of the last sixth of the steps."""
    losses = [float(one["loss"]) for one in history if "loss" in one]
    last = losses[-max(1, len(losses) // 6) :]
    return sum(last) / len(last) if last else float(fallback)


def _log_to_mlflow(trainer: Any, run: Run) -> None:
    import os

    integrations: Any = import_module("transformers.integrations")
    os.environ.setdefault("MLFLOW_EXPERIMENT_NAME", run.mlflow)
    trainer.add_callback(integrations.MLflowCallback)
