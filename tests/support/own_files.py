"""Files of people's own, made up: what the questions on one's own data are asked of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

CLASSES = ("down", "none", "up")


def write_table(path: Path | str, header: str, rows: Sequence[Sequence[Any]]) -> None:
    """A CSV file."""
    Path(path).write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n", encoding="utf-8")


def gestures(path: Path | str = "gestures.csv", groups: int = 40, noise: float = 0.2) -> None:
    """Sequences of 12 to 19 steps: x goes up and then down, down and then up, or neither, so that the order counts and
    the mean does not; a hand that says nothing, the size of each, which the means of x squared would give."""
    rng, rows = np.random.default_rng(3), []
    for group in range(groups):
        kind, steps = group % 3, int(rng.integers(12, 20))
        wave = (kind - 1) * np.sin(2 * np.pi * np.arange(steps) / steps)
        x = wave * (1 + group % 2) + noise * rng.normal(size=steps)
        for step in range(steps):
            y = round(noise * rng.normal(), 4)
            hand = ("left", "right")[(group // 3) % 2]
            rows.append((f"g{group}", step, round(x[step], 4), y, hand, CLASSES[kind], 1 + group % 2, kind))
    write_table(path, "id,step,x,y,hand,gesture,size,now", rows)


def shops(path: Path | str = "shops.csv", days: int = 80) -> None:
    """Daily sales of three shops, of different lengths: a level, a week, a promotion that is known ahead."""
    rng, rows = np.random.default_rng(4), []
    for number, (shop, city) in enumerate([("a", "Bern"), ("b", "Bern"), ("c", "Chur")]):
        promotion = rng.random(days + 10) < 0.3
        for day in range(days - 5 * number):
            date = datetime(2024, 1, 1) + timedelta(days=day)
            sales = 10 * (number + 1) + 2 * np.sin(2 * np.pi * day / 7) + 3 * promotion[day] + 0.3 * rng.normal()
            row = (shop, date.date(), round(float(sales), 3), int(promotion[day]), round(float(rng.normal()), 3), city)
            rows.append(row)
    write_table(path, "shop,day,sales,promotion,temperature,city", rows)


def write_all() -> None:
    """All of them, in the working folder."""
    gestures()
    shops()
    Path("text.txt").write_text("the cat sat on the mat. a dog ate the cat's hat; the end?\n" * 2 + story(3000))


def story(length: int) -> str:
    """A text of few words in random order."""
    words = np.random.default_rng(5).choice(["the", "cat", "sat", "on", "a", "mat", "and", "slept"], length // 3)
    return " ".join(words)[:length]
