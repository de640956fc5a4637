# SPDX-License-Identifier: Apache-2.0
"""What the study compares, and the settings that were tried for it."""

# The seed CNN, trained on the 50 000 images that --choose does not judge with.
TEACHER = [
    "--model", "seed-cnn", "--epochs", "10", "--learning-rate", "0.002", "--crop", "1", "--flip",
    "--seed", "100",
]
# A copy of it with a quarter of the channels.
STUDENT = ["--width", "0.25"]
# What all students have in common.
SCHEDULE = {"epochs": 3, "options": ["--learning-rate", "0.002"]}

LABELS = ["--alpha", "0"]
LOGITS = ["--temperature", "1", "--alpha", "0.9"]
# What a student begins with, and learns from. Fresh weights are random, by seed; the others are the
# teacher's.
FORMS = {
    "alone": ["--fresh", *LABELS],
    "logits": ["--fresh", *LOGITS],
    "hints": ["--fresh", *LOGITS, "--hints", "1"],
    "attention": ["--fresh", *LOGITS, "--attention", "1"],
    "adversarial": ["--fresh", *LOGITS, "--adversarial", "0.1"],
    "copied-labels": LABELS,
    "copied-logits": ["--temperature", "4", "--alpha", "0.7"],
}

# The settings that --choose tries.
CHOICES = {
    "alone": [FORMS["alone"]],
    "logits": [
        ["--fresh", "--temperature", temperature, "--alpha", "0.9"]
        for temperature in ("1", "2", "4")
    ],
    "hints": [["--fresh", *LOGITS, "--hints", weight] for weight in ("0.3", "3")],
    "attention": [["--fresh", *LOGITS, "--attention", weight] for weight in ("1", "10")],
    "adversarial": [["--fresh", *LOGITS, "--adversarial", weight] for weight in ("0.01", "0.1")],
    "copied-labels": [FORMS["copied-labels"]],
    "copied-logits": [
        ["--temperature", temperature, "--alpha", alpha]
        for temperature, alpha in (("1", "0.9"), ("4", "0.7"))
    ],
}
