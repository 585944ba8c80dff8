#!/usr/bin/env bash
# Builds the package for the GPU of this machine, tests it there, runs it under compute-sanitizer and
# measures it; needs no network and at most nine minutes. Leaves gpu_acceptance.json and .md, and the
# logs, in OUTDIR.
#
#     benchmarks/gpu_acceptance.sh OUTDIR      (PYTHON=python3: the interpreter that has torch)
#
# Exit status: 0 all steps passed or could not run, 1 a step failed, 2 no GPU or wrong usage.
set -euo pipefail

if [ $# -ne 1 ]; then
  echo "usage: $0 OUTDIR" >&2
  exit 2
fi
if ! command -v nvidia-smi >/dev/null || ! timeout 20 nvidia-smi -L 2>/dev/null | grep -q '^GPU '; then
  echo "gpu_acceptance: there is no NVIDIA GPU here (nvidia-smi shows none), so nothing was run." >&2
  exit 2
fi
mkdir -p "$1"
out=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
exec timeout --kill-after=5 540 "${PYTHON:-python3}" "$here/gpu_acceptance.py" "$out"
