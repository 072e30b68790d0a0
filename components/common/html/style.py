"""The CSS of all pages."""

LIGHT = {
    "bg": "#f6f7f9",
    "card": "#ffffff",
    "ink": "#1c2330",
    "soft": "#566070",
    "rule": "#dfe3e9",
    "grid": "#e8ebf0",
    "stripe": "#f9fafb",
    "accent": "#1f5fd0",
    "heat": "#2459b8",
    "miss": "#b3500f",
    "good": "#14703c",
    "good-bg": "#e0f3e7",
    "warn": "#855000",
    "warn-bg": "#fdefd2",
    "bad": "#b3261e",
    "bad-bg": "#fbe3e1",
    "p0": "#1f5fd0",
    "p1": "#d97706",
    "p2": "#0a6b52",
    "p3": "#c94f9b",
    "p4": "#5b3fb8",
    "p5": "#8a7a00",
    "p6": "#2389ad",
    "p7": "#767d8a",
}
"""Colors on a light background. Series differ in lightness, too, not in hue alone."""

DARK = {
    "bg": "#12151b",
    "card": "#1a1f28",
    "ink": "#e6e9ef",
    "soft": "#9aa4b5",
    "rule": "#2e3643",
    "grid": "#272e3a",
    "stripe": "#1d232d",
    "accent": "#7aaaff",
    "heat": "#3570dd",
    "miss": "#b85c1c",
    "good": "#6fd39b",
    "good-bg": "#143524",
    "warn": "#f3c06b",
    "warn-bg": "#3c2c10",
    "bad": "#ff9b93",
    "bad-bg": "#441d1b",
    "p0": "#5b93f5",
    "p1": "#ffb866",
    "p2": "#35a98a",
    "p3": "#f59ad0",
    "p4": "#a78bfa",
    "p5": "#d6c64a",
    "p6": "#67c7ea",
    "p7": "#a5adba",
}
"""The same on a dark background."""

SERIES_COLOURS = 8
"""The number of colors for series, classes `s0` to `s7`; further series start over."""


def _variables(colors: dict[str, str]) -> str:
    return ";".join(f"--{name}:{value}" for name, value in colors.items())


_PAGE = """
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);
font:14px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main,nav{max-width:1160px;margin:0 auto;padding:24px 20px 48px}
nav{padding:14px 20px 0}
nav ul{list-style:none;display:flex;flex-wrap:wrap;gap:6px;margin:0;padding:0}
nav a{display:block;padding:3px 11px;border:1px solid var(--rule);border-radius:999px;
background:var(--card);text-decoration:none}
nav a[aria-current]{background:var(--ink);border-color:var(--ink);color:var(--bg);font-weight:600}
header{margin:0 0 18px}
h1{font-size:24px;line-height:1.25;margin:0;letter-spacing:-.01em;overflow-wrap:anywhere}
h1 .context{color:var(--soft);font-weight:500}
h2{font-size:16px;margin:0 0 12px;letter-spacing:-.005em}
h3{font-size:14px;margin:0 0 8px;overflow-wrap:anywhere}h3 .badge{margin-left:6px}
.subtitle{margin:4px 0 0;color:var(--soft);overflow-wrap:anywhere}
section{background:var(--card);border:1px solid var(--rule);border-radius:10px;
padding:18px 20px;margin:0 0 16px}
section>*:last-child,details>*:last-child{margin-bottom:0}
p{margin:0 0 12px;max-width:78ch;overflow-wrap:anywhere}
p.lead{font-size:16px;line-height:1.45}p.lead .badge{margin-right:8px;vertical-align:1px}
.note{color:var(--soft);font-size:12px}
a{color:var(--accent)}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px;border-radius:3px}
summary{cursor:pointer;color:var(--soft)}
summary h2{display:inline;color:var(--ink)}
section>details[open]>summary{margin-bottom:12px}
.fold{margin:0 0 12px}.fold>summary{margin-bottom:8px}
code,pre{font:12.5px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
code{overflow-wrap:anywhere}td code{overflow-wrap:break-word}
pre{margin:0 0 12px;padding:12px 14px;background:var(--bg);border:1px solid var(--rule);
border-radius:8px;overflow-x:auto}
.badge{display:inline-block;padding:1px 9px;border-radius:999px;font-size:12px;font-weight:600;
line-height:1.6;white-space:nowrap;background:var(--grid);color:var(--soft)}
h3 .badge{white-space:normal;overflow-wrap:anywhere}
.badge.good{background:var(--good-bg);color:var(--good)}
.badge.warning{background:var(--warn-bg);color:var(--warn)}
.badge.error{background:var(--bad-bg);color:var(--bad)}
.change{white-space:nowrap}
.better{color:var(--good)}.worse{color:var(--bad)}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:10px;
margin:0 0 14px}
.facts div{border:1px solid var(--rule);border-radius:8px;padding:9px 12px;min-width:0}
.facts dt{color:var(--soft);font-size:12px;overflow-wrap:anywhere}
.facts dd{margin:1px 0 0;font-size:19px;font-weight:600;line-height:1.3;overflow-wrap:anywhere;
font-variant-numeric:tabular-nums}
.facts dd.long{font-size:13px;line-height:1.45}
.facts dd small{display:block;font-size:12px;font-weight:400;line-height:1.4;color:var(--soft)}
.entry{padding:14px 0 2px;border-top:1px solid var(--rule);content-visibility:auto;
contain-intrinsic-size:auto 230px}
.entry:first-of-type{border-top:0}
.entry:target{background:var(--stripe)}
.option{color:var(--soft)}
.row{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(320px,100%),1fr));
  gap:12px 28px;align-items:start;margin:0 0 14px}
.row.pairs{grid-template-columns:repeat(auto-fill,minmax(min(420px,100%),1fr))}
.row>*{min-width:0;margin-bottom:0}
@media (max-width:560px){main{padding:14px 10px 32px}nav{padding:10px 10px 0}
section{padding:14px 12px}h1{font-size:20px}.facts{grid-template-columns:repeat(2,minmax(0,1fr))}}
"""

_TABLES = """
.scroll{overflow-x:auto;margin:0 0 14px}
div.scroll{background:linear-gradient(90deg,var(--card) 30%,transparent) 0 0/36px 100% local,
linear-gradient(270deg,var(--card) 30%,transparent) 100% 0/36px 100% local,
linear-gradient(90deg,var(--rule),transparent) 0 0/12px 100% scroll,
linear-gradient(270deg,var(--rule),transparent) 100% 0/12px 100% scroll;
background-repeat:no-repeat}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;min-width:min(100%,420px)}
caption{text-align:left;color:var(--soft);padding:0 0 6px}
th,td{padding:6px 18px 6px 0;text-align:left;vertical-align:top;
border-bottom:1px solid var(--rule)}
th:last-child,td:last-child{padding-right:0}
td{overflow-wrap:break-word;max-width:64ch}
th{font-size:12px;font-weight:600;color:var(--soft);white-space:nowrap}
tbody tr:hover{background:var(--stripe)}
tbody tr:last-child td{border-bottom:0}
td.n,th.n{text-align:right;white-space:nowrap}
td.wide{min-width:15em}
@media (max-width:560px){td{max-width:26ch}}
"""

_CHARTS = """
figure{margin:0 0 16px;max-width:540px}figure.wide{max-width:none}
.wide.scroll svg{min-width:720px}
figcaption{font-weight:600;margin:0 0 4px}
.legend{display:flex;flex-wrap:wrap;gap:2px 16px;color:var(--soft);font-size:12px;margin:0 0 4px}
.legend span{overflow-wrap:anywhere}
.legend span::before{content:"";display:inline-block;width:10px;height:10px;border-radius:3px;
margin-right:6px;vertical-align:-1px;background:var(--c)}
svg{display:block;width:100%;height:auto;overflow:visible}
svg text{font-size:11px;fill:var(--soft);font-variant-numeric:tabular-nums}
svg .al{fill:var(--ink)}
svg .halo{stroke:var(--card);stroke-width:4px;paint-order:stroke;stroke-linejoin:round}
svg a:focus-visible rect{stroke:var(--accent);stroke-width:3}
.g{stroke:var(--grid);stroke-width:1;fill:none}
.ax{stroke:var(--rule);stroke-width:1;fill:none}
.ln{fill:none;stroke:var(--c);stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.s1 .ln{stroke-dasharray:7 4}.s2 .ln{stroke-dasharray:2 4}.s3 .ln{stroke-dasharray:9 4 2 4}
.dash{stroke:var(--soft);stroke-width:1;stroke-dasharray:4 4;fill:none}
.err{stroke:var(--c);stroke-width:1.2;stroke-opacity:.7;fill:none}
.pt{fill:var(--c)}.hit{fill:transparent;stroke:none}
g:hover>.hov,.hit:hover{fill:var(--soft);fill-opacity:.12}
.bar{fill:var(--c);fill-opacity:.88}.bar:hover{fill-opacity:1}
.area{fill:var(--c);fill-opacity:.22;stroke:var(--c);stroke-width:1.4;stroke-linejoin:round}
.cell{fill:var(--heat)}.miss{fill:var(--miss)}.void{fill:var(--grid)}
svg .on{fill:#fff}svg .off{fill:var(--ink)}
.trial{fill:none;stroke-width:1.5;stroke-opacity:.75}.trial:hover{stroke-width:3;stroke-opacity:1}
.best{fill:none;stroke-width:3.5}.lost{stroke:var(--soft);stroke-dasharray:3 4}
@media (max-width:560px){svg text{font-size:12.5px}}
"""

_SERIES = "".join(f".s{index}{{--c:var(--p{index})}}" for index in range(SERIES_COLOURS))

_PRINT = """
@media print{body{background:#fff}nav{display:none}main{max-width:none;padding:0}
section{break-inside:avoid;border:0;padding:8px 0}.entry{content-visibility:visible}
.scroll{overflow:visible;background:none}details::details-content{content-visibility:visible;
display:block;height:auto}*{print-color-adjust:exact}}
"""

STYLE = (
    f"\n:root{{{_variables(LIGHT)}}}\n"
    f"@media screen and (prefers-color-scheme:dark){{:root{{{_variables(DARK)}}}}}"
    f"{_PAGE}{_TABLES}{_CHARTS}{_SERIES}{_PRINT}"
)
