"""Renders docs/performance.md from what scripts/bench.sh has measured.

    python3 scripts/performance.py MEASURED CRITERION > docs/performance.md

MEASURED holds runs.tsv (step, run, exit code, seconds, commit, command) and the JSON of each run, with
`figures`: {name: {value, unit, min?, max?}}. CRITERION is where criterion keeps its estimates.
Nothing below is a measured number: the table ROWS holds targets, the rest comes from the files.
"""

import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
from dataclasses import dataclass


@dataclass
class Row:
    """A line of the table: what it is, where its value is found, and what it must reach, if anything."""

    what: str
    step: str
    figure: str
    unit: str
    must: float | None = None
    aim: float | None = None
    more_is_better: bool = False
    scale: float = 1.0
    digits: int = 2


SIZES = {200: "200 B", 2000: "2 KB", 16000: "16 KB"}


def ratios(what, figure, must=None, aim=None, more_is_better=True, step="bare"):
    return [
        Row(f"{what}, frames of {text}", step, f"{figure}_{size}", "", must, aim, more_is_better)
        for size, text in SIZES.items()
    ]


def per_size(what, figure, unit):
    """Rows without a target: what other figures are reckoned from."""
    return [Row(f"{what} of {text}", "bare", f"{figure}_{size}", unit, digits=1) for size, text in SIZES.items()]


ROWS = [
    *ratios("frames/s against a bare `send(2)` loop, 10,000 connections", "gateway_to_bare_spread", 0.90, 0.95),
    *ratios("the same with the server API, the broker and the wait for the end of a 5 ms slot", "gateway_to_bare_frames", 0.90, 0.95),
    *ratios("server CPU per frame against that of the bare `send(2)` loop", "gateway_to_bare_cpu", 1.10, 1.05, False),
    *per_size("CPU of the bare `send(2)` loop for a frame", "bare_cpu", "µs"),
    *per_size("CPU of the gateway for a frame", "gateway_cpu", "µs"),
    *ratios("frames/s against npm `ws`", "gateway_to_ws_spread", 1.20, 1.33, step="peers"),
    Row("resident memory per idle joined connection", "bare", "gateway_resident_per_connection", "B", 1536, 1280, digits=0),
    Row("the same with 19,000 of them", "memory", "gateway_resident_per_connection", "B", 1536, 1280, digits=0),
    Row("heap allocations per delivered frame in a shard's flush", "allocations", "flush_allocations", "", 0, 0, digits=0),
    Row("locks in the code of the data path (a test finds none)", "locks", "", "", 0, 0, digits=0),
    Row("splice + compress 90 KB of events", "codec", "criterion:batch/splice_and_compress_90_kb", "ms", 0.5, 0.2, scale=1e-6, digits=3),
    Row("bytes per viewer-second at 50 chat/s, plain against shared permessage-deflate", "bytes", "plain_to_deflated", "times", 4, 5, True),
    Row("the same: plain", "bytes", "plain_bytes_per_viewer_second", "B/s", digits=0),
    Row("the same: deflated", "bytes", "deflated_bytes_per_viewer_second", "B/s", digits=0),
    Row("WebSocket connections per second, upgrade and join, cores shared with the clients", "storm", "join_in_coming_in_per_s", "/s", 15_000, 20_000, True, digits=0),
    Row("the same when all were cut off at once and come back", "storm", "join_in_wave_1_fresh_per_s", "/s", digits=0),
    Row("10,000 joined viewers with heartbeats, idle: gateway CPU", "idle", "server_cpu_cores", "cores", 0.15, 0.03, digits=3),
    Row("the same: reply p99", "idle", "pong_p99_ms", "ms", 3, 1),
    Row("ack p99 while a room of 18,900 viewers flushes 16 KB frames every 250 ms", "acks", "ack_p99_ms", "ms", 20, 5, digits=1),
    Row("10,000 viewers, 200 chat/s, every account closed (a slot is 1000 ms): p99", "large", "latency_p99_ms", "ms", 1150, 1150, digits=0),
    Row("the same: gateway CPU", "large", "server_cpu_cores", "cores", digits=2),
    Row("the same: gateway CPU per frame, all that it did divided by its frames", "large", "server_cpu_per_frame", "µs", digits=1),
    Row("100 small rooms beside one of 5,000 viewers with 1,000 chat/s: p99", "small", "small_latency_p99_ms", "ms", 1200, 1200, digits=0),
    Row("the same: frames to silent rooms", "small", "silent_batches", "", 0, 0, digits=0),
    Row("publish on one gateway → socket on another, over NATS, without the wait for the slot, 5,000 events/s in 200 rooms: p50", "across", "across_p50_ms", "ms", 1.5, 0.6),
    Row("the same: p99", "across", "across_p99_ms", "ms", 15, 5),
    Row("1,000 danmaku/s in one room over 10 gateways: CPU of the NATS server", "nats", "hot_room_server_cores", "cores", 0.1, 0.1, digits=3),
    Row("the same: CPU of each gateway's broker", "nats", "hot_room_gateway_cores", "cores", 0.05, 0.05, digits=3),
    Row("20,000 idle rooms of one gateway on NATS: open after", "nats", "idle_rooms_open_s", "s", 2, 2),
    Row("the same: memory of each", "nats", "idle_room_bytes", "B", 6144, 6144, digits=0),
]


class Measured:
    """What lies in the folder of measurements."""

    def __init__(self, folder, criterion):
        self.folder = pathlib.Path(folder)
        self.criterion = pathlib.Path(criterion)
        lines = (self.folder / "runs.tsv").read_text().splitlines()
        self.runs = [line.split("\t", 5) for line in lines]

    def commits(self, step):
        return list(dict.fromkeys(run[4] for run in self.runs if run[0] == step))

    def commands(self, step):
        commands = (run[5].replace(f"{step}.{run[1]}.json", f"{step}.N.json") for run in self.runs if run[0] == step)
        return list(dict.fromkeys(commands))

    def failures(self, step):
        return [run for run in self.runs if run[0] == step and run[2] != "0"]

    def was_run(self, step):
        return any(run[0] == step for run in self.runs)

    def figure(self, step, name):
        """(median, least, most) over all runs of a step; None if it was not measured."""
        if not self.was_run(step):
            return None
        if not name:  # the step is a test: it passes or not
            return (0.0, 0.0, 0.0) if not self.failures(step) else None
        if name.startswith("criterion:"):
            return self.estimate(name.removeprefix("criterion:"))
        found = []
        for file in sorted(self.folder.glob(f"{step}.*.json")):
            try:
                figure = json.loads(file.read_text()).get("figures", {}).get(name)
            except ValueError:
                figure = None
            if figure is not None and figure["value"] is not None:
                found.append(figure)
        if not found:
            return None
        least = min(f.get("min", f["value"]) for f in found)
        most = max(f.get("max", f["value"]) for f in found)
        return statistics.median(f["value"] for f in found), least, most

    def estimate(self, bench):
        file = self.criterion / bench / "new" / "estimates.json"
        if not file.exists():
            return None
        median = json.loads(file.read_text())["median"]
        interval = median["confidence_interval"]
        return median["point_estimate"], interval["lower_bound"], interval["upper_bound"]


def number(value, digits):
    return f"{value:,.{digits}f}"


def verdict(row, value):
    if row.must is None:
        return ""
    better = (lambda a, b: a >= b) if row.more_is_better else (lambda a, b: a <= b)
    if better(value, row.aim):
        return "aim"
    return "must" if better(value, row.must) else "**missed**"


def line(row, measured):
    sign = "≥" if row.more_is_better else "≤"
    unit = f" {row.unit}" if row.unit else ""
    texts = ("" if target is None else f"{sign} {target:,g}{unit}" for target in (row.must, row.aim))
    targets = " | ".join(texts)
    figure = measured.figure(row.step, row.figure)
    if figure is None:
        return f"| {row.what} | {targets} | not measured | | {row.step} |", None
    value, least, most = (number * row.scale for number in figure)
    reached = verdict(row, value)
    spread = "" if least == most else f" ({number(least, row.digits)} to {number(most, row.digits)})"
    text = f"{number(value, row.digits)}{unit}{spread}"
    return f"| {row.what} | {targets} | {text} | {reached} | {row.step} |", reached


def output(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def processor():
    for text in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if text.startswith("model name"):
            return text.split(":", 1)[1].strip()
    return platform.machine()


def memory_gib():
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30


def machine(measured):
    commits = list(dict.fromkeys(run[4] for run in measured.runs))
    now = datetime.datetime.now(datetime.timezone.utc)
    load = sorted(float(file.read_text()) for file in measured.folder.glob("*.load"))
    seconds = sum(int(run[3]) for run in measured.runs)
    return [
        "| | |",
        "| --- | --- |",
        f"| when | {now:%Y-%m-%d %H:%M} UTC; all steps together {seconds // 60} min {seconds % 60} s |",
        f"| what | commit {', '.join(commits)} (below by step) |",
        f"| where | {os.cpu_count()} cores of {processor()}, {memory_gib():.0f} GiB, Linux {platform.release()}; loopback, clients on the same machine |",
        f"| beside it | load average when the steps began: {load[0]:g} to {load[-1]:g} |",
    ]


INTRO = """\
# Performance

Written by `make bench` (`scripts/bench.sh`); no number here is typed by hand. Every value is a
median, with the least and the most in brackets. Ratios compare things that ran at the same time
and took turns, so they hold on a busy machine; absolute values hold for this machine and this load.
"""

NOTES = """\
## How it is measured

**Beside a bare loop.** `barrage-loadtest bare` starts a whole gateway (one shard; rooms, hub,
metrics, timers as always) and a program that does nothing but call `send(2)` for each of its
sockets. Both hold 10,000 connections at the same time, made alternately. They take turns in sending
one frame to all of theirs: the gateway because an event was published through its server API, the
loop because it was told to. Frames per second are those between the first byte that a client had and
the last; in the lines below them the time begins with the order, so that the gateway's includes the
server API, the broker and the wait for the end of a slot. CPU is the run time of all threads of the
server (`/proc/<pid>/task/*/schedstat`). Servers have one core, clients the other. Any missing byte
ends the run. Another server can join in with `--peer NAME=COMMAND`: it is told by lines of JSON on
its standard input what to do (`loadtest/src/bare/side.rs`).

**Over NATS** (`broker-bridge/examples/nats_budget.rs`): gateways' brokers and a real nats-server, all
on this machine. **From gateway to gateway** (`gateway/examples/across.rs`): two whole gateways, a real
nats-server, and 200 speakers on the one and 200 viewers on the other as WebSocket clients, with ticks
of a second as always. An event's time begins when it was to be said (so a late generator counts) and
ends when a viewer has read it; the time between its delivery to the hub of the far gateway, which is
noted on the way, and the end of its slot is not in it. A slot that is closed late counts.

**Memory** is what the resident set of the gateway grows by per connection, from 1,000 joined viewers
to all of them, before anything was published.
"""


def main():
    measured = Measured(sys.argv[1], sys.argv[2])
    lines = [line(row, measured) for row in ROWS]
    missed = [row.what for row, (_, reached) in zip(ROWS, lines) if reached == "**missed**"]
    print(INTRO)
    print("\n".join(machine(measured)))
    print("\n| what | must | aim | measured | reached | step |\n| --- | --- | --- | --- | --- | --- |")
    print("\n".join(text for text, _ in lines))
    print("\nMissed: " + ("; ".join(missed) if missed else "none") + ".")
    print("\n## Commands\n\nEach step alone: `scripts/bench.sh STEP`.\n\n| step | commit | command |\n| --- | --- | --- |")
    for step in dict.fromkeys(run[0] for run in measured.runs):
        failures = measured.failures(step)
        runs = sum(run[0] == step for run in measured.runs)
        told = f" ({runs} times)" if runs > 1 else ""
        told += f" ({len(failures)} failed)" if failures else ""
        for command in measured.commands(step):
            print(f"| {step}{told} | {', '.join(measured.commits(step))} | `{command}` |")
    print("\n" + NOTES, end="")


if __name__ == "__main__":
    main()
