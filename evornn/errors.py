"""Errors that say what to do next. Every error that a user can cause is an `EvornnError`; any other is a bug in
evornn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches

MAX_LENGTH = 80  # characters of a wrong value that an error quotes
SYNONYMS = {  # of torch, scikit-learn, Optuna, evosax and others → evornn's words
    "hidden_size": "units",
    "hidden_dim": "units",
    "num_units": "units",
    "n_units": "units",
    "num_layers": "layers",
    "n_layers": "layers",
    "input_size": "inputs",
    "in_features": "inputs",
    "output_size": "outputs",
    "out_features": "outputs",
    "num_classes": "outputs",
    "nonlinearity": "activation",
    "lr": "learning_rate",
    "step_size": "learning_rate",
    "batch_size": "batch",
    "pop_size": "population",
    "popsize": "population",
    "population_size": "population",
    "sigma0": "sigma",
    "std": "sigma",
    "stdev_init": "sigma",
    "clip_grad_norm": "clip",
    "max_grad_norm": "clip",
    "lr_scheduler": "schedule",
    "scheduler": "schedule",
    "epochs": "steps",
    "max_iter": "steps",
    "max_steps": "steps",
    "generations": "steps",
    "early_stopping": "patience",
    "n_jobs": "workers",
    "random_state": "seed",
    "context_length": "window",
    "lookback": "window",
    "seq_len": "window",
    "prediction_length": "horizon",
    "past_covariates": "covariates",
    "future_covariates": "known_ahead",
    "static_covariates": "static",
    "label": "target",
    "timestamp": "time",
    "date": "time",
    "l2": "weight_decay",
}


class EvornnError(Exception):
    """An error that the user can correct. `str(error)` is one line: what is wrong, then what to do."""


class UnknownName(EvornnError):
    """A name that is in no catalog. The message offers the nearest known name."""

    def __init__(self, what: str, name: object, known: Iterable[str]) -> None:
        self.what, self.name, self.known = what, name, sorted(known)
        super().__init__(f"unknown {what} {short_repr(name)}{suggestion(str(name), self.known)}")

    def __reduce__(self) -> tuple[type[UnknownName], tuple[str, object, list[str]]]:
        return type(self), (self.what, self.name, self.known)  # so that it travels between processes


@contextmanager
def require(extra: str, what: str) -> Iterator[None]:
    """Around the imports of `what`, whose libraries the extra installs. Raises EvornnError where one is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "evornn":  # a bug, which no installation mends
            raise
        raise EvornnError(f"{what} needs the extra {extra}: pip install 'evornn[{extra}]'") from error


def suggestion(name: str, known: Iterable[str]) -> str:
    """`": did you mean 'elman'?"`, or the list of known names when none is near. Other libraries' words are known."""
    known = sorted(known)
    ours = SYNONYMS.get(name.lower())
    near = [ours] if ours in known else get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    return f": did you mean {near[0]!r}?" if near else f": known are {', '.join(known)}"


def short_repr(value: object) -> str:
    """A wrong value as an error quotes it: only its beginning, if it is long."""
    text = repr(value)
    return text if len(text) <= MAX_LENGTH else f"{text[:MAX_LENGTH]}…"
