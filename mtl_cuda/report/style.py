"""The style sheet of a report: one column, numbers that line up, light and dark."""

STYLE = """
:root { color-scheme: light dark;
  --paper: #fcfcfa; --ink: #1d1f23; --soft: #64686f; --rule: #dfdfda; --faint: #f1f1ed;
  --c0: #2f66b3; --c1: #c25a14; --c2: #2a8a57; --c3: #8a4fb0; --c4: #b03a55; --c5: #6b7280;
  --sans: system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif;
  --serif: "Iowan Old Style", "Palatino Linotype", Palatino, "URW Palladio L", Georgia, serif; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #16181b; --ink: #e4e5e7; --soft: #9a9ea6; --rule: #33373c; --faint: #212428;
  --c0: #7db0f0; --c1: #f0a05f; --c2: #6fc997; --c3: #c79be6; --c4: #ee8ba0; --c5: #a3a9b3; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 var(--sans); -webkit-text-size-adjust: 100%; }
main { max-width: 1120px; margin: 0 auto; padding: 56px 28px 72px; }
h1 { font: 600 34px/1.2 var(--serif); letter-spacing: -.01em; margin: 0 0 14px; }
.headline { font: 20px/1.5 var(--serif); color: var(--soft); margin: 0; max-width: 46em; }
section { margin-top: 52px; }
h2 + p { margin-top: 0; }
h2 { font: 600 20px/1.3 var(--serif); margin: 0 0 18px; padding-bottom: 8px;
  border-bottom: 1px solid var(--rule); }
p { max-width: 44em; margin: 14px 0 0; }
.soft { color: var(--soft); font-size: 14px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums lining-nums; }
th, td { text-align: left; padding: 7px 30px 7px 0; white-space: nowrap; }
th { font-weight: 400; font-size: 13px; color: var(--soft); border-bottom: 1px solid var(--rule); }
td { border-bottom: 1px solid var(--faint); }
th.number, td.number { text-align: right; }
tr.main td { font-weight: 600; } tr.main td.soft { font-weight: 400; }
td.soft { font-size: inherit; } td.worse { color: var(--c4); }
p.soft + .charts { margin-top: 24px; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(310px, 1fr));
  gap: 26px 22px; }
svg { display: block; width: 100%; height: auto; overflow: visible; font-family: var(--sans); }
svg text { fill: var(--ink); } svg .title { font-size: 12.5px; font-weight: 600; }
svg .tick { font-size: 10.5px; fill: var(--soft); font-variant-numeric: tabular-nums; }
svg .end { text-anchor: end; } svg .middle { text-anchor: middle; }
svg path { fill: none; stroke-linejoin: round; stroke-linecap: round; }
svg .grid { stroke: var(--rule); stroke-width: .7; }
svg .axis { stroke: var(--soft); stroke-width: .8; }
svg .line { stroke-width: 1.8; } svg .raw { stroke-width: 1; opacity: .4; }
svg .reference { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 3 4; }
.c0 { stroke: var(--c0); } .c1 { stroke: var(--c1); } .c2 { stroke: var(--c2); }
.c3 { stroke: var(--c3); } .c4 { stroke: var(--c4); } .c5 { stroke: var(--c5); }
svg .mark { fill: var(--paper); stroke-width: 1.6; }
.classes { display: grid; grid-template-columns: repeat(auto-fill, minmax(310px, 1fr));
  gap: 4px 40px; font-size: 14px; font-variant-numeric: tabular-nums; }
.class { display: grid; grid-template-columns: 12px 8.5em 1fr 4em; gap: 10px; align-items: center;
  line-height: 26px; }
.swatch { width: 12px; height: 12px; border-radius: 2px; box-shadow: inset 0 0 0 1px #8884; }
.bar { height: 6px; border-radius: 3px; background: var(--faint); overflow: hidden; }
.bar i { display: block; height: 100%; background: var(--soft); border-radius: 3px; }
.class b { font-weight: 400; white-space: nowrap; text-align: right; }
p.soft + .scroll { margin-top: 20px; }
.confusion { font-size: 11.5px; line-height: 1; }
.confusion th, .confusion td { padding: 0; border: 0; height: 25px; }
.confusion thead th { vertical-align: bottom; padding: 0 0 8px; }
.confusion thead span { writing-mode: vertical-rl; transform: rotate(180deg); display: inline-flex;
  align-items: center; gap: 7px; width: 25px; }
.confusion th { font-size: 12.5px; color: var(--ink); border: 0; white-space: nowrap; }
.confusion tbody th { display: flex; align-items: center; justify-content: flex-start; gap: 7px;
  flex-direction: row-reverse; padding-right: 12px; }
.confusion tbody td { min-width: 31px; text-align: center; border: 1px solid var(--paper);
  background: var(--faint); }
.confusion tbody td.right { background: color-mix(in srgb, var(--c0) var(--shade), var(--faint)); }
.confusion tbody td.wrong { background: color-mix(in srgb, var(--c1) var(--shade), var(--faint)); }
.confusion tbody td.dark { color: var(--paper); }
.confusion .pixels { background: none; color: var(--soft); text-align: right; padding-left: 14px;
  vertical-align: bottom; } .confusion tbody .pixels { vertical-align: middle; }
.confusion .swatch { flex: none; width: 10px; height: 10px; }
figure { margin: 0 0 30px; } figure img { display: block; width: 100%; border-radius: 4px; }
figcaption { font-size: 13px; color: var(--soft); margin-top: 8px; overflow-wrap: anywhere; }
details { border-bottom: 1px solid var(--faint); padding: 6px 0 12px; }
summary { cursor: pointer; }
pre { font: 13px/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; background: var(--faint);
  border-radius: 4px; padding: 16px 18px; overflow-x: auto; margin: 14px 0 4px; }
details table { margin-top: 10px; font-size: 14px; }
details td { white-space: normal; overflow-wrap: anywhere; }
details td:first-child { color: var(--soft); white-space: nowrap; }
"""
