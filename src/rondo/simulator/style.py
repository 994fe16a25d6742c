"""How the report looks: quiet, on light paper, on dark paper and in print. No font or picture is fetched."""

from __future__ import annotations

STYLE = """\
:root {
  color-scheme: light dark;
  --paper: #fdfcf9; --ink: #1d1f21; --soft: #5f646a; --line: #d9d6cd; --tint: #eef4f2; --strong: #0a6b62;
  --s0: #4a6fa5; --s1: #b0742a; --s2: #8a5a83; --s3: #6f7d3c; --s4: #a6504a; --s5: #4f7f8c;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #15171a; --ink: #e6e4df; --soft: #9aa0a6; --line: #33373c; --tint: #1b2826; --strong: #5cc5b5;
    --s0: #88a9d8; --s1: #d6a25f; --s2: #c095ba; --s3: #a9b86f; --s4: #d98a84; --s5: #86b6c2;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 18px/1.58 "Iowan Old Style", "Palatino Linotype", Palatino, "Source Serif Pro", Georgia, serif;
  font-feature-settings: "onum"; text-rendering: optimizeLegibility;
}
main { max-width: 780px; margin: 0 auto; padding: 64px 28px 96px; }
.over { margin: 0 0 10px; color: var(--soft); font: 600 12px/1.4 var(--sans); letter-spacing: .09em;
  text-transform: uppercase; }
:root { --sans: system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif; }
h1 { margin: 0 0 18px; font-size: 35px; line-height: 1.18; font-weight: 600; letter-spacing: -.012em;
  text-wrap: balance; }
h2 { margin: 60px 0 6px; font-size: 22px; line-height: 1.3; font-weight: 600; }
p { margin: 0 0 16px; max-width: 66ch; }
.lead { font-size: 20px; line-height: 1.5; margin-bottom: 30px; }
.note, figcaption { color: var(--soft); font-size: 15px; line-height: 1.5; max-width: 70ch; }
figure { margin: 18px 0 0; }
figcaption { margin-top: 14px; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { font: 12.5px var(--sans); fill: var(--ink); font-variant-numeric: tabular-nums; }
svg .axis { fill: var(--soft); font-size: 11.5px; }
svg .middle { text-anchor: middle; }
svg .end { text-anchor: end; }
svg .grid { stroke: var(--line); stroke-width: 1; }
svg polyline { fill: none; stroke-linejoin: round; stroke-linecap: round; }
svg .site { stroke-width: 1.4; opacity: .85; }
svg polyline.mean { stroke: var(--strong); stroke-width: 2.8; }
svg .ring { fill: var(--paper); stroke: var(--strong); stroke-width: 2.2; }
svg text.strong { fill: var(--strong); font-weight: 650; }
svg polyline.s0 { stroke: var(--s0); } svg text.s0 { fill: var(--s0); }
svg polyline.s1 { stroke: var(--s1); } svg text.s1 { fill: var(--s1); }
svg polyline.s2 { stroke: var(--s2); } svg text.s2 { fill: var(--s2); }
svg polyline.s3 { stroke: var(--s3); } svg text.s3 { fill: var(--s3); }
svg polyline.s4 { stroke: var(--s4); } svg text.s4 { fill: var(--s4); }
svg polyline.s5 { stroke: var(--s5); } svg text.s5 { fill: var(--s5); }
svg .whisker { stroke: var(--soft); stroke-width: 1.6; stroke-linecap: round; }
svg .dot { fill: var(--soft); }
svg .dot.mean { fill: var(--paper); stroke: var(--soft); stroke-width: 1.8; }
svg .dot.last, svg .dot.best { fill: var(--strong); }
svg .whisker.last, svg .whisker.best { stroke: var(--strong); }
svg .dot.pooled { fill: var(--ink); }
svg .whisker.pooled { stroke: var(--ink); }
svg text.last, svg text.best { fill: var(--strong); font-weight: 650; }
.wide { overflow-x: auto; margin: 18px 0 12px; }
table { border-collapse: collapse; width: 100%; font: 14.5px/1.35 var(--sans); font-variant-numeric: tabular-nums; }
th { font-weight: 600; text-align: right; vertical-align: bottom; padding: 6px 0 8px 16px; }
th small, td small { display: block; color: var(--soft); font-size: 11.5px; font-weight: 400; white-space: nowrap; }
td { text-align: right; padding: 8px 0 8px 16px; border-top: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; padding-left: 8px; }
th:last-child, td:last-child { padding-right: 8px; }
td:first-child { font-weight: 400; }
thead th { border-bottom: 1.5px solid var(--ink); }
tr.mean td, tr.pooled td { border-top: 1.5px solid var(--soft); }
tr.last td { border-top: 1.5px solid var(--soft); }
tr.last td, tr.best td { background: var(--tint); }
tr.last td:first-child, tr.best td:first-child { color: var(--strong); font-weight: 600; }
td.own b { font-weight: 600; border-bottom: 2px solid var(--line); }
td b { font-weight: 500; }
td:last-child b { font-weight: 700; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 7px 26px; margin: 16px 0 0;
  font: 14.5px/1.45 var(--sans); }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
code { font: 12.5px/1.5 ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, monospace; }
footer { margin-top: 64px; padding-top: 14px; border-top: 1px solid var(--line); color: var(--soft);
  font: 13px/1.5 var(--sans); }
@media (max-width: 600px) { main { padding: 36px 18px 64px; } h1 { font-size: 28px;
  } figure { overflow-x: auto; } svg { min-width: 560px; } .lead { font-size: 18px;
    } dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: 10px; } }
@media print {
  :root {
    --paper: #fff; --ink: #000; --soft: #555; --line: #ccc; --tint: #f1f5f4; --strong: #0a5f57;
    --s0: #35588c; --s1: #8f5a17; --s2: #70436a; --s3: #56622a; --s4: #8a3a35; --s5: #39656f;
  }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  @page { margin: 18mm 16mm; }
  body { font-size: 10.5pt; }
  main { max-width: none; padding: 0; }
  p { max-width: none; margin-bottom: 8pt; }
  .lead { font-size: 13pt; margin-bottom: 14pt; }
  .note, figcaption { font-size: 9pt; max-width: none; }
  table, dl { font-size: 9pt; }
  td { padding-top: 3.5pt; padding-bottom: 3.5pt; }
  th small, td small { font-size: 7.5pt; }
  code { font-size: 8pt; }
  h1 { font-size: 20pt; } h2 { margin-top: 26pt; font-size: 14pt; break-after: avoid; }
  figure, table, dl { break-inside: avoid; }
  .wide, figure { overflow: visible; }
}
"""
