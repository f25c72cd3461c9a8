"""The forms that the covariance of an evolution strategy may take."""
