#!/usr/bin/env bash
# Every figure that needs a GPU, in one JSON file: benchmarks/gpu.sh OUT_DIR
#
# Writes OUT_DIR/gpu.json, again after each section, and OUT_DIR/gpu.log. The package need not be
# installed; what it depends on must be. On an H100 the whole takes under five minutes.
#
#   DEVICE   cuda (default) or cpu
#   PYTHON   interpreter, python3 where not given
#   QUICK=1  tiny sizes, to try the script on a CPU
#   LIMIT    seconds for everything; no section starts or continues after them
#   COMMIT   of the source, where it is not in a git checkout

set -u
if [[ $# -ne 1 ]]; then
    echo "usage: benchmarks/gpu.sh OUT_DIR" >&2
    exit 2
fi
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
mkdir -p "$1" || exit 2
out=$(cd "$1" && pwd)
device=${DEVICE:-cuda}
python=${PYTHON:-python3}
quick=${QUICK:-0}
work=$(mktemp -d)
export PYTHONPATH="$root/src${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1 COLUMNS=120
export XDG_CACHE_HOME=$work/cache SIB_TEST_DEVICE=$device
cd "$root" || exit 2
: >"$out/gpu.log"

networks=(resnet18 resnet50 densenet121 vit_b_32 efficientnet_b0 timm/tf_efficientnet_lite0
    mobilenet_v3_large convnext_tiny swin_t timm/vit_small_patch16_224)
fast=(resnet50 resnet18 timm/tf_efficientnet_lite0 timm/vit_small_patch16_224)
graphs=(resnet18 resnet50 convnext_tiny timm/vit_small_patch16_224)
modes=(plain "plain graph" sib "sib graph" "calibrated graph")
explained=(resnet18 efficientnet_b0)
size=(--sides 224 --batch 64 --rounds 5 --seconds 3.5)
images=(--batch 32 --side 224 --rounds 3 --seconds 8)
head=()
tests=()
examples=(--input.train-size 2000 --input.test-size 400 --epochs 2)
limit=${LIMIT:-285}
patience=1
if [[ $quick == 1 ]]; then
    networks=(small_resnet vit_b_32)
    fast=(small_resnet)
    graphs=(small_resnet)
    explained=(small_resnet)
    size=(--sides 32 --batch 1 --rounds 1 --no-memory)
    images=(--batch 2 --side 32 --rounds 1)
    head=(--shapes 4 32 --rounds 1)
    tests=(-k "measures or metric or published-small_resnet-32")
    examples=(--input.train-size 80 --input.test-size 20 --epochs 1)
    limit=${LIMIT:-900}
    patience=4 # a CPU may be busy, and no figure of this run counts
fi

join() {
    "$python" benchmarks/gpu_report.py join "$work" "$out/gpu.json"
}

finish() {
    trap - EXIT
    kill $current 2>/dev/null
    wait
    for log in "$work"/*.log; do
        printf '\n== %s\n' "$(basename "$log" .log)" >>"$out/gpu.log"
        cat "$log" >>"$out/gpu.log"
    done
    join
    "$python" benchmarks/gpu_report.py show "$out/gpu.json"
    rm -rf "$work"
}
current=
trap finish EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

# section NAME SECONDS COMMAND...: at most so long
section() {
    local name=$1 most=$(($2 * patience)) left=$((limit - SECONDS)) start=$SECONDS code
    shift 2
    ((left < most)) && most=$left
    if ((most < 3)); then
        echo "$name skipped 0 0" >>"$work/status"
        return
    fi
    # in the background, so that a signal to this script is noticed at once
    timeout --kill-after=5 "$most" "$@" >"$work/$name.log" 2>&1 &
    current=$!
    wait "$current"
    code=$?
    echo "$name $code $((SECONDS - start)) $most" >>"$work/status"
    echo "$name: exit code $code after $((SECONDS - start)) s" >&2
    join
}

# steps NAME SECONDS OPTIONS...: a section of benchmarks/step.py
steps() {
    local name=$1 most=$2
    shift 2
    section "$name" "$most" "$python" benchmarks/step.py --device "$device" "${size[@]}" \
        --out "$work/$name.json" "$@"
}

# study RUN OPTIONS...: a short training on built-in images and its evaluation
study() {
    local run=$1
    shift
    "$python" -m sib train --data digits --arch small_resnet --device "$device" --workers 0 \
        --out "$run" "$@" &&
        "$python" -m sib evaluate "$run" --device "$device" --limit 64
}
export -f study
export python device

section facts 60 "$python" benchmarks/gpu_report.py facts "$work/facts.json"
# first what people use: small batches, whose steps wait for the processor
steps small_batches 40 --architectures timm/tf_efficientnet_lite0 resnet18 --batch 16 \
    --precision tf32 --batch-norm frozen --modes "${modes[@]}"
steps graphs 60 --architectures "${graphs[@]}" --batch-norm train --modes "${modes[@]}"
section tests 100 "$python" -m pytest tests/gpu -q -p no:cacheprovider --junitxml="$work/tests.xml" \
    "${tests[@]}"
steps steps 130 --architectures "${networks[@]}"
steps precisions 50 --architectures "${fast[@]}" --precision tf32 bfloat16 --channels-last \
    --batch-norm train
section study 45 bash -c 'study "$@"' study "$work/run" "${examples[@]}"
section head 25 "$python" benchmarks/head.py --device "$device" --out "$work/head.json" "${head[@]}"
section explanations 40 "$python" benchmarks/explanations.py --device "$device" \
    --architectures "${explained[@]}" "${images[@]}" --out "$work/explanations.json"
