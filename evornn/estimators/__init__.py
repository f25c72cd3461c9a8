"""Networks with scikit-learn's habits: fit, predict, score; in pipelines, cross-validation and searches."""

from evornn.errors import require

with require("sklearn", "an estimator"):
    from evornn.estimators.classifier import Classifier
    from evornn.estimators.forecaster import Forecaster
    from evornn.estimators.regressor import Regressor

__all__ = ["Classifier", "Forecaster", "Regressor"]
