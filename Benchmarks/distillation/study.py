#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Where distillation pays: one small student, alone and taught in several ways, on Fashion-MNIST.

All runs of one table have the same student, initial weights by seed, images seen, steps and learning
rates; they differ in what the student is told. What is done stays in --out: the same command again goes
on where it was interrupted, and a subset (--labels, --forms, --seeds) can be run at first.

--choose judges on train[50000..<60000], which neither teacher nor students have seen, and tries the
settings of choices.py there. The test images are looked at only without it.
"""

import argparse
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import held_out
import page
from choices import CHOICES, FORMS, SCHEDULE, STUDENT, TEACHER


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--swiftlet", required=True, help="the command")
    parser.add_argument("--out", type=Path, required=True, help="folder for all that is written")
    parser.add_argument("--labels", default="all,1000", help="labelled images: all, or how many")
    parser.add_argument("--forms", default=",".join(FORMS), help="default: %(default)s")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--epochs", type=int, default=SCHEDULE["epochs"])
    parser.add_argument("--threads", type=int, help="default: all")
    parser.add_argument(
        "--choose", action="store_true", help="try settings on held-out training images")
    parser.add_argument(
        "--page", action="store_true", help="only write the tables of what has been run")
    options = parser.parse_args()
    unknown = set(options.forms.split(",")) - set(FORMS)
    if unknown:
        parser.error(f"there are no forms {', '.join(sorted(unknown))}")
    return options


class Study:
    def __init__(self, options: argparse.Namespace):
        self.options = options
        self.out = options.out
        self.out.mkdir(parents=True, exist_ok=True)
        self.held_out = f"idx:{held_out.make(self.out / 'held-out')}"
        self.teacher = self.out / "teacher.onnx"
        self.cache, self.models = self.out / "cache", self.out / "models"
        for folder in (self.cache, self.models, self.out / "runs"):
            folder.mkdir(exist_ok=True)

    def call(self, *words: object) -> dict:
        threads = ["--threads", self.options.threads] if self.options.threads else []
        command = [self.options.swiftlet, *words, *threads, "--json", "--quiet"]
        done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, text=True)
        if done.returncode != 0:
            sys.exit(f"failed with {done.returncode}: {' '.join(map(str, command))}")
        return json.loads(done.stdout)

    def teach(self) -> None:
        """Trains the teacher, on what --choose does not judge with."""
        if not self.teacher.exists():
            self.call("train", "--data", self.held_out, *TEACHER, "-o", self.teacher)

    def run(self, labels: str, form: str, seed: int, told: list[str]) -> dict:
        """One student; `told` are the options that say what it learns from."""
        budget = [*STUDENT, *SCHEDULE["options"], "--epochs", self.options.epochs]
        few = [] if labels == "all" else ["--labels", labels]
        data = self.held_out if self.options.choose else "fashion-mnist"
        words = [*budget, *few, *told, "--seed", seed, "--data", data]
        text = " ".join(map(str, words)) + hashlib.sha256(self.teacher.read_bytes()).hexdigest()
        key = hashlib.sha256(text.encode()).hexdigest()[:12]
        name = f"{labels}-{form}-{seed}-{key}"
        path = self.out / f"runs/{name}.json"
        if path.exists():
            return json.loads(path.read_text())
        report = self.call(
            "compress", self.teacher, "--technique", "distill", *words,
            "--teacher-cache", self.cache, "-o", self.models / f"{name}.onnx")
        result = {
            "labels": labels, "form": form, "seed": seed, "told": told,
            "judgedOn": "held out" if self.options.choose else "test",
            "budget": [str(word) for word in budget],
            "top1": report["after"]["top1"], "macs": report["after"]["macs"],
            "teacherTop1": report["before"]["top1"], "teacherMacs": report["before"]["macs"],
            "images": report["images"], "machine": report.get("machine"),
        }
        path.write_text(json.dumps(result, indent=1))
        print(
            f"{labels} labels, {form}, seed {seed}: {result['top1']:.4f} {' '.join(told)}",
            file=sys.stderr, flush=True)
        return result

    def wanted(self):
        for labels in self.options.labels.split(","):
            for seed in map(int, self.options.seeds.split(",")):
                for form in self.options.forms.split(","):
                    yield labels, form, seed

    def everything(self) -> list[dict]:
        self.teach()
        results = []
        for labels, form, seed in self.wanted():
            for told in CHOICES[form] if self.options.choose else [FORMS[form]]:
                results.append(self.run(labels, form, seed, told))
        return results


def main() -> None:
    options = arguments()
    study = Study(options)
    if options.page:
        judged = "held out" if options.choose else "test"
        runs = [json.loads(path.read_text()) for path in sorted((study.out / "runs").glob("*.json"))]
        results = [run for run in runs if run["judgedOn"] == judged]
    else:
        results = study.everything()
    name = "choice" if options.choose else "study"
    (study.out / f"{name}.json").write_text(json.dumps(page.summary(results), indent=1))
    text = page.markdown(results)
    (study.out / f"{name}.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
