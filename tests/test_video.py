"""Video files hold the pictures they were given."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tempest_gym.display import video
from tempest_gym.display.video import gif_durations, open_video


def test_a_video_holds_the_pictures_in_order(tmp_path):
    import imageio_ffmpeg
    from PIL import Image

    pictures = [np.full((64, 48, 3), level, np.uint8) for level in (0, 80, 160, 240)]
    for name in ("v.mp4", "v.gif"):
        with open_video(tmp_path / name, 25.0) as show:
            for picture in pictures:
                show(picture)
    reader = imageio_ffmpeg.read_frames(str(tmp_path / "v.mp4"))
    meta = next(reader)
    frames = [np.frombuffer(frame, np.uint8).mean() for frame in reader]
    assert meta["size"] == (48, 64)
    assert frames == pytest.approx([0, 80, 160, 240], abs=6)
    with Image.open(tmp_path / "v.gif") as gif:
        assert gif.n_frames == 4
    with pytest.raises(ValueError, match=r"\.mp4 or \.gif"), open_video(tmp_path / "v.avi", 25.0):
        pass


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(1, 500), st.floats(5.0, 60.0))
def test_a_gif_keeps_time(count, rate):
    durations = gif_durations(count, rate)
    assert len(durations) == count
    assert all(duration % 10 == 0 for duration in durations)
    assert sum(durations) == pytest.approx(1000 * count / rate, abs=5.01)


def test_a_gif_that_grows_too_long_ends_with_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(video, "GIF_PICTURES_MAX", 3)
    pictures = np.zeros((5, 8, 8, 3), np.uint8)
    with open_video(tmp_path / "v.gif", 25) as show:
        for picture in pictures[:3]:
            show(picture)
        with pytest.raises(ValueError, match=r"3 pictures at most.*\.mp4"):
            show(pictures[3])
    assert (tmp_path / "v.gif").exists()
