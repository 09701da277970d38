"""Counting in several processes at once."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from flaskmail.formats.exposition import exposition
from flaskmail.metrics import AREAS, SIZE, Recorder, area, counts


def text(folder: Path) -> str:
    return exposition(counts(folder).families()).decode()


def test_requests_are_counted_by_method_status_and_time(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "metrics")
    recorder.count("GET", 200, "/jmap/session", 0.004, 100)
    recorder.count("GET", 200, "/jmap", 20.0, 50)
    recorder.count("BREW", 418, "/pot", 0.001, 0)
    found = text(tmp_path / "metrics")
    assert 'flaskmail_http_requests_total{method="GET",code="200"} 2\n' in found
    assert 'flaskmail_http_requests_total{method="other",code="other"} 1\n' in found
    assert 'flaskmail_http_request_duration_seconds_bucket{area="jmap",le="0.005"} 1\n' in found
    assert 'flaskmail_http_request_duration_seconds_bucket{area="jmap",le="+Inf"} 2\n' in found
    assert 'flaskmail_http_request_duration_seconds_sum{area="jmap"} 20.004\n' in found
    # A bound belongs to its bucket.
    assert 'flaskmail_http_request_duration_seconds_bucket{area="other",le="0.001"} 1\n' in found
    assert 'flaskmail_http_response_size_bytes_total{area="jmap"} 150\n' in found
    assert "flaskmail_workers 1\n" in found


def test_every_path_has_an_area() -> None:
    assert area("/") == area("/jmapx") == area("") == len(AREAS)
    assert [
        AREAS[area(path)][0] for path in ("/jmap", "/jmap/upload/x/", "/api", "/auth/token", "/.well-known/jmap")
    ] == [*("jmap", "upload", "api", "auth", "discovery")]


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_processes_are_added_up_and_their_ends_lose_nothing(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.count("GET", 200, "/", 0, 0)
    for _ in range(3):
        children = []
        for _ in range(4):
            child = os.fork()
            if child == 0:
                for _ in range(50):
                    recorder.count("GET", 200, "/", 0, 0)
                # As after a kill: nothing is closed.
                os._exit(0)
            children.append(child)
        for child in children:
            assert os.waitpid(child, 0)[1] == 0
    recorder.count("GET", 200, "/", 0, 0)
    assert 'flaskmail_http_requests_total{method="GET",code="200"} 602\n' in text(tmp_path)
    # Files are taken over, and only one process is left.
    assert len(list(tmp_path.iterdir())) <= 5
    assert counts(tmp_path).workers == 1
    recorder.close()
    assert counts(tmp_path).workers == 0
    assert 'flaskmail_http_requests_total{method="GET",code="200"} 602\n' in text(tmp_path)


def test_counts_of_another_meaning_are_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "0").write_bytes(b"x" * SIZE)
    assert "flaskmail_http_requests_total{" not in text(tmp_path)
    recorder = Recorder(tmp_path)
    recorder.count("GET", 200, "/", 0, 0)
    assert re.findall("^flaskmail_http_requests_total.*", text(tmp_path), re.MULTILINE) == [
        'flaskmail_http_requests_total{method="GET",code="200"} 1'
    ]


def test_a_folder_that_cannot_be_used_costs_nothing_but_the_counts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "metrics").write_text("a file")
    recorder = Recorder(tmp_path / "metrics")
    for _ in range(3):
        recorder.count("GET", 200, "/", 0, 0)
    assert len(caplog.records) == 1
    assert counts(tmp_path / "metrics").workers == 0
