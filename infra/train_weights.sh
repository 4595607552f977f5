#!/usr/bin/env bash
# Train the weights that ship, as their model cards say, from this repository and a few clips.
#
#     infra/train_weights.sh OUT CLIPS YOLOX
#
# OUT     folder for data and weights; what is there already is kept, and a killed run goes on
# CLIPS   folder of the Intel sample videos (CC BY 4.0): one-by-one-person-detection.mp4, car-detection.mp4, and the
#         previews of the same collection in intel_previews/*.gif
# YOLOX   yolox_nano.onnx (Apache-2.0), who says what is in them
#
# DEVICE=cuda trains on a GPU, in one process. STEPS, REFINING, JUDGING, PICTURES, EPOCHS and WORLDS make it longer or
# shorter: those of the cards without them, and then PROCESSES has to be 2, since batch norm sees the pictures of its own process.
set -euo pipefail

if [ $# -ne 3 ]; then
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2
    exit 2
fi
out=$1 clips=$2 yolox=$3
device=${DEVICE:-cpu} worlds=${WORLDS:-} processes=${PROCESSES:-2} cores=$(nproc)
steps=${STEPS:-7000} refining=${REFINING:-5000} judging=${JUDGING:-3500} pictures=${PICTURES:-12} epochs=${EPOCHS:-4}
if [ "$device" != cpu ]; then processes=1; fi

nightfleet train scenes --out "$out/scenes-5000" --worlds "${worlds:-500}" --seed 5000 --processes "$cores"
nightfleet train scenes --out "$out/scenes-6000" --worlds "${worlds:-400}" --seed 6000 --processes "$cores"
nightfleet train scenes --place town --out "$out/town-7000" --worlds "${worlds:-160}" --sequences-per-world 4 \
    --frames 10 --seed 7000 --processes "$cores"
if [ ! -d "$out/labels" ]; then
    nightfleet train labels "$clips"/one-by-one-person-detection.mp4 "$clips"/car-detection.mp4 \
        "$clips"/intel_previews/*.gif --detector "onnx:$yolox" --every 3 --device "$device" --out "$out/labels"
fi
nightfleet train one-shot --data "$out/scenes-5000" --data "$out/scenes-6000" --data "$out/town-7000" \
    --data "$out/labels" --out "$out/one-shot" --steps "$steps" --pictures "$pictures" --precision bfloat16 \
    --processes "$processes" --device "$device" --resume
nightfleet train refiner "$out/one-shot/one_shot.safetensors" --data "$out/scenes-5000" --data "$out/scenes-6000" \
    --data "$out/town-7000" --data "$out/labels" --out "$out/refiner" --steps "$refining" --precision bfloat16 \
    --threads "$processes" --device "$device" --resume
nightfleet train scores "$out/refiner/one_shot.safetensors" --data "$out/scenes-5000" --data "$out/scenes-6000" \
    --data "$out/town-7000" --data "$out/labels" --out "$out/scores" --steps "$judging" --precision bfloat16 \
    --threads "$processes" --device "$device" --resume

# Scores are held beside what is right in worlds that nobody was trained on.
nightfleet train scenes --out "$out/scenes-8000" --worlds "${worlds:-40}" --seed 8000 --processes "$cores"
nightfleet train scenes --place town --out "$out/town-8000" --worlds "${worlds:-20}" --sequences-per-world 4 \
    --frames 6 --seed 8000 --processes "$cores"
nightfleet train calibrate "$out/scores/one_shot.safetensors" --data "$out/scenes-8000" --data "$out/town-8000" \
    --device "$device" --out "$out/one_shot.safetensors"

nightfleet train embedder --data "$out/scenes-5000" --out "$out/embedder" --backbone colours --rate 0.0003 \
    --epochs "$epochs" --threads 1 --device "$device" --resume
ls -l "$out/one_shot.safetensors" "$out/embedder/embedder.safetensors"
