#!/usr/bin/env bash
# From a folder of annotated NIfTI exams to a fine-tuned bundle, a page that compares it with the shipped one,
# and an inference with it. docs/tutorial.md explains every step. Works in a new folder, named or ./tutorial.
set -euo pipefail
mkdir -p "${1:-tutorial}"
cd "${1:-tutorial}"

# 1. Twelve annotated exams. Simulated ones stand in for yours; ten to learn from, two kept apart.
marrowmap simulate lab --exams 10 --seed 9000 --format nifti --pattern focal
marrowmap simulate kept_apart --exams 2 --seed 20023 --format nifti --pattern focal

# 2. Fine-tune the shipped weights on them. Two of the ten are held out to watch the run.
marrowmap train --run runs/tutorial --init_from shipped --stream.annotated lab \
  --stream.simulated_weight 0 --max_steps 150 --validate_every 50 --optimiser.learning_rate 0.0003

# 3. A bundle, its threshold chosen on the exams that were held out.
marrowmap export runs/tutorial my_bundle --name my-bundle

# 4. What the new weights and the shipped ones find in the exams that were kept apart.
for exam in kept_apart/*/; do
  marrowmap infer "$exam" "new/$(basename "$exam")" --weights my_bundle --quiet
  marrowmap infer "$exam" "shipped/$(basename "$exam")" --quiet
done

# 5. Both against the reference.
marrowmap evaluate new kept_apart --against shipped --html evaluation.html
