# SPDX-License-Identifier: Apache-2.0
"""The study as numbers and as a Markdown page."""

from statistics import mean, stdev

from choices import FORMS


def groups(results: list[dict]) -> dict[tuple, list[dict]]:
    """Runs that differ in their seed alone."""
    found: dict[tuple, list[dict]] = {}
    for run in results:
        key = (run["labels"], tuple(run["budget"]), run["form"], tuple(run["told"]))
        found.setdefault(key, []).append(run)
    return found


def alone(results: list[dict], run: dict) -> float | None:
    """The accuracy of the same student without a teacher: seed, labels and budget alike."""
    for other in results:
        if other["told"] == FORMS["alone"] and all(
                other[key] == run[key] for key in ("labels", "seed", "budget")):
            return other["top1"]
    return None


def closed(taught: float, lone: float, teacher: float) -> float:
    return (taught - lone) / (teacher - lone)


def summary(results: list[dict]) -> list[dict]:
    rows = []
    for (labels, budget, form, told), runs in groups(results).items():
        top1 = [run["top1"] for run in runs]
        row = {
            "labels": labels, "form": form, "told": " ".join(told), "budget": " ".join(budget),
            "seeds": [run["seed"] for run in runs], "top1": top1, "mean": mean(top1),
            "deviation": stdev(top1) if len(top1) > 1 else None,
            "teacherTop1": runs[0]["teacherTop1"],
            "macsOfTeacher": runs[0]["macs"] / runs[0]["teacherMacs"],
        }
        lone = [alone(results, run) for run in runs]
        if form != "alone" and None not in lone:
            row["gapClosed"] = closed(row["mean"], mean(lone), row["teacherTop1"])
            row["gapClosedBySeed"] = [
                closed(one, other, row["teacherTop1"]) for one, other in zip(top1, lone)]
        rows.append(row)
    return rows


def percent(value: float) -> str:
    return f"{value * 100:.0f} %"


def line(row: dict) -> str:
    spread = f" ± {row['deviation']:.4f}" if row["deviation"] is not None else ""
    span = f"{min(row['top1']):.4f} to {max(row['top1']):.4f}"
    gap, by_seed = "", ""
    if "gapClosed" in row:
        gap = percent(row["gapClosed"])
        by_seed = ", ".join(map(percent, row["gapClosedBySeed"]))
    return (
        f"| {row['form']} | `{row['told']}` | {row['mean']:.4f}{spread} | {span} | {gap} "
        f"| {by_seed} |\n")


def markdown(results: list[dict]) -> str:
    text = ""
    rows = summary(results)
    for labels, budget in dict.fromkeys((row["labels"], row["budget"]) for row in rows):
        chosen = [row for row in rows if (row["labels"], row["budget"]) == (labels, budget)]
        text += (
            f"\n{labels} labels; `{budget}`; teacher {chosen[0]['teacherTop1']:.4f}, student with "
            f"1/{1 / chosen[0]['macsOfTeacher']:.1f} of its MACs; {len(chosen[0]['seeds'])} seed(s)\n\n"
            "| learns from | settings | top-1, mean ± deviation | lowest to highest | gap closed "
            "| by seed |\n|---|---|--:|--:|--:|--:|\n" + "".join(map(line, chosen)))
    return text.lstrip("\n")
