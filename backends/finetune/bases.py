"""Opens a base model with its tokenizer, in torch."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, Final

from backends.errors import Misconfigured, Refused

MISSING: Final = "Install it with: uv sync --extra finetune"

_HUB_FILES: Final = ("*.json", "*.safetensors", "*.jinja", "tokenizer.model")


def require_extra() -> None:
    """Check that what trains is installed.

    Raises:
        Misconfigured: It is not; the hint says how to install it.
    """
    from importlib.util import find_spec

    missing = [name for name in ("torch", "transformers", "peft", "trl") if not find_spec(name)]
    if missing:
        raise Misconfigured(
            f"Fine-tuning needs {', '.join(missing)}, which the extra `finetune` brings.",
            backend="fine-tuning",
            hint=MISSING,
        )


def require_mlflow() -> None:
    """Check that MLflow is installed.

    Raises:
        Misconfigured: It is not.
    """
    from importlib.util import find_spec

    if not find_spec("mlflow"):
        raise Misconfigured(
            "MLflow is not installed, so nothing can be logged to it.",
            backend="fine-tuning",
            hint="Install it with: uv pip install mlflow, or leave --mlflow out; metrics are "
            "written as JSON lines beside the adapter in any case.",
        )


def from_hub(name: str) -> Path:
    """Return the folder of a model of the hub, fetched if it is not there yet.

    Raises:
        Refused: There is no such model, or it cannot be fetched.
    """
    hub: Any = import_module("huggingface_hub")
    errors: Any = import_module("huggingface_hub.errors")
    try:
        return Path(hub.snapshot_download(name, allow_patterns=list(_HUB_FILES)))
    except (errors.HfHubHTTPError, errors.LocalEntryNotFoundError, ValueError, OSError) as error:
        raise Refused(
            f"The base {name} cannot be fetched from the hub ({type(error).__name__}).",
            backend="fine-tuning",
            hint="Check its name and the connection, or give a folder that holds it.",
        ) from error


def open_tokenizer(base: Path) -> Any:
    """Return the tokenizer of a base, with a pad token.

    Raises:
        Misconfigured: It cannot be read, or has no chat template.
    """
    transformers: Any = import_module("transformers")
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(base, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise _unreadable(base, error) from error
    if not tokenizer.chat_template:
        raise Misconfigured(
            f"The base {base} has no chat template.",
            backend="fine-tuning",
            hint="Chat data needs a model for chat: an instruct version, or a template of your own "
            "as chat_template.jinja in its folder.",
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def open_base(base: Path, *, quantised: bool = False) -> Any:
    """Return the model, on the GPU where there is one; bfloat16 there, float32 on a CPU.

    On a CPU without matrix instructions for it bfloat16 is the slower one.

    Raises:
        Misconfigured: It cannot be read.
        Refused: 4 bits were asked for, and there is no CUDA or no bitsandbytes.
    """
    torch: Any = import_module("torch")
    transformers: Any = import_module("transformers")
    settings: dict[str, Any] = {"dtype": torch.float32}
    if torch.cuda.is_available():
        settings = {"dtype": torch.bfloat16, "device_map": {"": 0}}
    if quantised:
        check_quantisation()
        settings["quantization_config"] = transformers.BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
    try:
        return transformers.AutoModelForCausalLM.from_pretrained(
            base, local_files_only=True, use_safetensors=True, **settings
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise _unreadable(base, error) from error


def check_quantisation() -> None:
    """Check that 4 bits can be had.

    Raises:
        Refused: They cannot, with the reason.
    """
    from importlib.util import find_spec

    torch: Any = import_module("torch")
    if not torch.cuda.is_available():
        raise Refused(
            "QLoRA keeps the base in 4 bits by kernels for CUDA, and there is no CUDA here.",
            backend="fine-tuning",
            hint="Leave --qlora out: LoRA trains on a CPU as well.",
        )
    if not find_spec("bitsandbytes"):
        raise Refused(
            "QLoRA needs bitsandbytes, which is not installed.",
            backend="fine-tuning",
            hint="Install it with: uv pip install bitsandbytes",
        )


def linear_layers(model: Any) -> list[str]:
    """Return the names that LoRA goes by: of every linear layer but the one that says words.

    Last parts only, as vLLM and PEFT both read them.
    """
    torch: Any = import_module("torch")
    head = model.get_output_embeddings()
    return sorted(
        {
            name.rpartition(".")[2]
            for name, module in model.named_modules()
            if isinstance(module, torch.nn.Linear) and module is not head
        }
    )


def _unreadable(base: Path, error: Exception) -> Misconfigured:
    reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else ""
    return Misconfigured(
        f"The base {base} cannot be opened ({type(error).__name__}: {reason}).",
        backend="fine-tuning",
        hint="It must be a folder with config.json, *.safetensors and a tokenizer.",
    )
