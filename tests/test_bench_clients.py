"""The measurement of the server with many clients counts what they played."""

from tempest_rainbow.bench import clients as bench_clients


def test_boards_and_a_mame_are_measured_together(monkeypatch):
    monkeypatch.setattr(bench_clients, "_WARM_UP_SECONDS", 0.2)
    result = bench_clients.measure_clients(5, 2.0)
    assert (result["clients"], result["mames"], result["dropped"]) == (5, 1, {})
    frames = result["board_frames_per_second"] + result["mame_frames_per_second"]
    assert abs(frames - result["frames_per_second"]) < 1e-6 * frames
    assert 0 < result["slowest_to_fastest"] <= result["board_slowest_to_fastest"] <= 1
    assert result["mame_slowest_to_fastest"] == 1
    assert 0 < result["reply_ms_p50"] <= result["reply_ms_p99"]
    assert 0 < result["board_ms_p50"] <= result["board_ms_p99"]
    assert 1 <= result["clients_per_inference"] <= 5
