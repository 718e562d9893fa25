"""Metrics: runs are counted, in a format that Prometheus reads."""

import asking
import pytest
import serving

from arrayloom.host.serving.core.http_server import METRICS


def test_metrics_add_up(server: serving.Server) -> None:
    """Device time, cycles and utilization of the runs, read by Prometheus' own parser."""
    from prometheus_client.parser import text_string_to_metric_families

    def read() -> dict[tuple[str, str], float]:
        families = text_string_to_metric_families(asking.http(server, METRICS.path).decode())
        return {(sample.name, sample.labels.get("version", "")): sample.value for family in families
                for sample in family.samples if sample.labels.get("model", "digits") == "digits"}

    before = read()
    asking.tfs_grpc(server, asking.Ask({"image": serving.images(4)}, version=1))
    after = read()
    assert after["arrayloom_images_total", "1"] - before.get(("arrayloom_images_total", "1"), 0) == 4
    cycles = after["arrayloom_simulated_cycles_total", "1"] - before.get(("arrayloom_simulated_cycles_total", "1"), 0)
    assert cycles > 0
    assert after["arrayloom_utilization", "1"] == pytest.approx(4 * 828_736 / (256 * cycles))
    for name in ("device", "queue", "preprocess", "reflash"):
        assert after[f"arrayloom_{name}_seconds_count", "1"] >= 1
    assert after["arrayloom_ready", ""] == 1
    assert after["arrayloom_queue_capacity", ""] == 256
