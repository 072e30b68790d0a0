"""When each task of a run ran, as bars that fit any width."""

from collections.abc import Sequence

from kfp_tabular.components.common.html import Markup, escape
from kfp_tabular.pipelines.local.report.run_summary import TaskRecord

_LEAST_SHARE = 0.3  # of the width, in percent, so that a short task is visible
_STYLE = """<style>
.times{list-style:none;margin:0 0 18px;padding:0;max-width:960px}
.times li{display:grid;grid-template-columns:minmax(7em,12em) 1fr 6em;gap:10px;
align-items:center;padding:3px 0}
.times .track{position:relative;height:16px;background:var(--stripe);
border-left:1px solid var(--rule);border-right:1px solid var(--rule)}
.time{position:absolute;top:0;bottom:0;border-radius:2px;background:var(--soft)}
.times .took{color:var(--soft);font-variant-numeric:tabular-nums}
.times .name{overflow-wrap:anywhere}
.time.succeeded{background:var(--good)}
.time.cached{background:var(--good);opacity:.45}
.time.stopped{background:var(--warn)}
.time.failed{background:var(--bad)}
</style>"""


def duration(seconds: float) -> str:
    """Return a duration for readers: `0.4 s`, `12 s`, `3 min 05 s`, `2 h 07 min`.

    Example:
        >>> duration(0.42), duration(185)
        ('0.4 s', '3 min 05 s')
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def draw_timing(tasks: Sequence[TaskRecord], started: float, seconds: float) -> Markup:
    """Draw when each task ran, as a bar from its start to its end.

    Args:
        tasks: Those that never started are left out.
        started: The run's start, seconds since the epoch.
        seconds: The run's duration.

    Example:
        >>> record = TaskRecord("ingest-data", "succeeded", seconds=3.2, started=101.5)
        >>> drawing = draw_timing([record], started=100.0, seconds=5.0)
        >>> drawing.partition("title='")[2].partition("'")[0]
        'ingest-data: from 1.5 s, for 3.2 s'
    """
    ran = sorted(
        (task for task in tasks if task.started is not None), key=lambda task: task.started or 0.0
    )
    if not ran:
        return Markup("")
    whole = max(seconds, 1e-3)
    rows = "".join(_row(task, (task.started or 0.0) - started, whole) for task in ran)
    return Markup(f"{_STYLE}<ol class='times' aria-label='When each task ran'>{rows}</ol>")


def _row(task: TaskRecord, begin: float, whole: float) -> str:
    first = min(max(begin / whole, 0.0), 1.0) * 100
    width = min(max(task.seconds / whole * 100, _LEAST_SHARE), max(100 - first, _LEAST_SHARE))
    tip = f"{task.name}: from {duration(max(begin, 0.0))}, for {duration(task.seconds)}"
    return (
        f"<li title='{escape(tip)}'><span class='name'>{escape(task.name)}</span>"
        f"<span class='track'><span class='time {task.status}' "
        f"style='left:{first:.2f}%;width:{width:.2f}%'></span></span>"
        f"<span class='took'>{escape(duration(task.seconds))}</span></li>"
    )
