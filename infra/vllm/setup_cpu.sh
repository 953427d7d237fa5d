#!/usr/bin/env bash
# See backends/vllm/local/setup_cpu.sh, which lies there so that an installed package has it as well.
exec bash "$(dirname "${BASH_SOURCE[0]}")/../../backends/vllm/local/setup_cpu.sh" "$@"
