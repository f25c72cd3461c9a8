"""Requests made from the API's own description; `python -m benchmarks.fuzz` sends 10,000."""

import pytest
from serving import serving

from benchmarks.fuzz import fuzz


@pytest.mark.slow
def test_no_request_is_an_error_of_the_server(tmp_path):
    with serving(f"sqlite:///{tmp_path}/evornn.db") as server:
        found = fuzz(server, requests=250, number=0)
    assert found["problems"] == []
    assert sum(found["statuses"].values()) >= 180 and {"200", "404", "422"} <= set(found["statuses"])
