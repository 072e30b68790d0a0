"""The CSS of all pages."""

STYLE = """
:root{--bg:#f6f7f9;--card:#fff;--ink:#1c2330;--soft:#5b6575;--rule:#dfe3e9;--grid:#e8ebf0;
--accent:#2f6fde;--heat:#2459b8;--good:#14753f;--good-bg:#e0f3e7;--warn:#8a5300;--warn-bg:#fdefd2;
--bad:#b3261e;--bad-bg:#fbe3e1;--stripe:#f9fafb;
--p0:#2f6fde;--p1:#e07b00;--p2:#12966f;--p3:#c2408b;--p4:#7a5cd6;--p5:#8a7a00;--p6:#2b93b8;
--p7:#7d8592}
@media (prefers-color-scheme:dark){:root{--bg:#12151b;--card:#1a1f28;--ink:#e6e9ef;--soft:#9aa4b5;
--rule:#2e3643;--grid:#272e3a;--accent:#6ea2ff;--heat:#3d7be8;--good:#6fd39b;--good-bg:#143524;
--warn:#f3c06b;--warn-bg:#3c2c10;--bad:#ff9b93;--bad-bg:#441d1b;--stripe:#1d232d;
--p0:#6ea2ff;--p1:#ffa94d;--p2:#4fd1a5;--p3:#f07fc0;--p4:#a78bfa;--p5:#d6c64a;--p6:#67c7ea;
--p7:#a5adba}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);
font:14px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:1160px;margin:0 auto;padding:24px 20px 48px}
header{margin:0 0 18px}
h1{font-size:24px;line-height:1.25;margin:0;letter-spacing:-.01em}
h2{font-size:16px;margin:0 0 12px;letter-spacing:-.005em}
.subtitle{margin:4px 0 0;color:var(--soft);overflow-wrap:anywhere}
section{background:var(--card);border:1px solid var(--rule);border-radius:10px;
padding:18px 20px;margin:0 0 16px}
section>*:last-child,details>*:last-child{margin-bottom:0}
p{margin:0 0 12px;max-width:78ch;overflow-wrap:anywhere}
.note{color:var(--soft);font-size:12px}
a{color:var(--accent)}
summary{cursor:pointer;color:var(--soft)}
summary h2{display:inline;color:var(--ink)}
section>details[open]>summary{margin-bottom:12px}
.fold{margin:0 0 12px}.fold>summary{margin-bottom:8px}
code,pre{font:12.5px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
pre{margin:0 0 12px;padding:12px 14px;background:var(--bg);border:1px solid var(--rule);
border-radius:8px;overflow-x:auto}
.badge{display:inline-block;padding:1px 9px;border-radius:999px;font-size:12px;font-weight:600;
line-height:1.6;white-space:nowrap;background:var(--grid);color:var(--soft)}
.badge.good{background:var(--good-bg);color:var(--good)}
.badge.warning{background:var(--warn-bg);color:var(--warn)}
.badge.error{background:var(--bad-bg);color:var(--bad)}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:10px;
margin:0 0 14px}
.facts div{border:1px solid var(--rule);border-radius:8px;padding:9px 12px;min-width:0}
.facts dt{color:var(--soft);font-size:12px;overflow-wrap:anywhere}
.facts dd{margin:1px 0 0;font-size:19px;font-weight:600;line-height:1.3;overflow-wrap:anywhere;
font-variant-numeric:tabular-nums}
.facts dd.long{font-size:13px;line-height:1.45}
.entry{padding:14px 0 2px;border-top:1px solid var(--rule);content-visibility:auto;
contain-intrinsic-size:auto 230px}
.entry:first-of-type{border-top:0}
h3{font-size:14px;margin:0 0 8px;overflow-wrap:anywhere}h3 .badge{margin-left:6px}
.scroll{overflow-x:auto;margin:0 0 14px}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;min-width:min(100%,420px)}
caption{text-align:left;color:var(--soft);padding:0 0 6px}
th,td{padding:6px 14px 6px 0;text-align:left;vertical-align:top;
border-bottom:1px solid var(--rule)}
td{overflow-wrap:break-word;max-width:64ch}
.option{color:var(--soft)}.option code{overflow-wrap:anywhere}
th{font-size:12px;font-weight:600;color:var(--soft);white-space:nowrap}
tbody tr:hover{background:var(--stripe)}
tbody tr:last-child td{border-bottom:0}
td.n,th.n{text-align:right;white-space:nowrap}
.row{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(320px,100%),1fr));
  gap:12px 28px;align-items:start;margin:0 0 14px}
.row>*{min-width:0;margin-bottom:0}
figure{margin:0 0 16px;max-width:760px}figure.wide{max-width:none}
figcaption{font-weight:600;margin:0 0 4px}
.legend{display:flex;flex-wrap:wrap;gap:2px 16px;color:var(--soft);font-size:12px;margin:0 0 4px}
.legend span::before{content:"";display:inline-block;width:10px;height:10px;border-radius:3px;
margin-right:6px;vertical-align:-1px;background:var(--c)}
svg{display:block;width:100%;height:auto;overflow:visible}
svg text{font-size:11px;fill:var(--soft);font-variant-numeric:tabular-nums}
svg .al{fill:var(--ink)}
svg .halo{stroke:var(--card);stroke-width:4px;paint-order:stroke;stroke-linejoin:round}
.g{stroke:var(--grid);stroke-width:1;fill:none}
.ax{stroke:var(--rule);stroke-width:1;fill:none}
.ln{fill:none;stroke:var(--c);stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.dash{stroke:var(--soft);stroke-width:1;stroke-dasharray:4 4;fill:none}
.pt{fill:var(--c)}.hit{fill:transparent;stroke:none}
g:hover>.hov,.hit:hover{fill:var(--soft);fill-opacity:.12}
.bar{fill:var(--c);fill-opacity:.88}.bar:hover{fill-opacity:1}
.area{fill:var(--c);fill-opacity:.22;stroke:var(--c);stroke-width:1.4;stroke-linejoin:round}
.cell{fill:var(--heat)}.void{fill:var(--grid)}
svg .on{fill:#fff}svg .off{fill:var(--ink)}
.trial{fill:none;stroke-width:1.5;stroke-opacity:.55}.trial:hover{stroke-width:3;stroke-opacity:1}
.best{fill:none;stroke-width:3.5}.lost{stroke:var(--soft);stroke-dasharray:3 4}
.s0{--c:var(--p0)}.s1{--c:var(--p1)}.s2{--c:var(--p2)}.s3{--c:var(--p3)}
.s4{--c:var(--p4)}.s5{--c:var(--p5)}.s6{--c:var(--p6)}.s7{--c:var(--p7)}
@media print{body{background:#fff}section{break-inside:avoid;border:0;padding:8px 0}}
"""

SERIES_COLOURS = 8
"""The number of colors for series, classes `s0` to `s7`; further series start over."""
