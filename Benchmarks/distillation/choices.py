"""What the study compares, and the settings that were tried for it."""

# The seed CNN, trained on the 50 000 images that --choose does not judge with.
TEACHER = [
    "--model", "seed-cnn", "--epochs", "12", "--crop", "1", "--flip", "--seed", "100",
]
# A copy of it with a quarter of the channels and random weights, by seed.
STUDENT = ["--width", "0.25", "--fresh"]
# What all students have in common.
SCHEDULE = {"epochs": 12, "options": ["--lr", "0.002"]}

LOGITS = ["--temperature", "4", "--alpha", "0.7"]
# What a student learns from.
FORMS = {
    "alone": ["--alpha", "0"],
    "logits": LOGITS,
    "hints": [*LOGITS, "--hints", "1"],
    "attention": [*LOGITS, "--attention", "1"],
    "adversarial": [*LOGITS, "--adversarial", "0.1"],
}


def variants(option: str, *values: str) -> list[list[str]]:
    return [[*LOGITS, option, value] for value in values]


# The settings that --choose tries.
CHOICES = {
    "alone": [FORMS["alone"]],
    "logits": [
        ["--temperature", temperature, "--alpha", alpha]
        for temperature in ("1", "2", "4", "8") for alpha in ("0.5", "0.7", "0.9", "1")
    ],
    "hints": variants("--hints", "0.1", "1", "10"),
    "attention": variants("--attention", "1", "10", "100"),
    "adversarial": variants("--adversarial", "0.01", "0.1"),
}
