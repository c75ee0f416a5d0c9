"""The stylesheet of ``/docs``: system fonts, light and dark as the reader has it."""

from typing import Final

STYLE: Final = """
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5b6675;--line:#d9dfe7;--paper:#fff;
--shade:#f4f6f9;--link:#0b5cad;--get:#0b6e4f;--put:#8a5a00;--patch:#6b3fa0;--delete:#a3262a}
@media (prefers-color-scheme:dark){:root{--ink:#e4e9f0;--soft:#9aa6b5;--line:#303a47;
--paper:#12171e;--shade:#1a212b;--link:#7db8f5;--get:#5fd0a6;--put:#e3b457;--patch:#c3a2f0;
--delete:#f08f8f}}
*{box-sizing:border-box}
html{scroll-behavior:smooth;scroll-padding-top:1rem}
@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
body{margin:0;font:16px/1.55 system-ui,sans-serif;color:var(--ink);background:var(--paper);
display:grid;grid-template-columns:19rem minmax(0,1fr)}
nav{position:sticky;top:0;height:100vh;overflow-y:auto;padding:1.2rem;background:var(--shade);
border-right:1px solid var(--line);font-size:.875rem}
nav p{margin:1.1rem 0 .2rem;font-weight:600}
nav .brand{margin:0;font-size:1.1rem}
nav ul{list-style:none;margin:0;padding:0}
nav li a{display:flex;gap:.6rem;padding:.15rem 0;align-items:baseline}
a{color:var(--link);text-decoration:none}
a:hover,a:focus{text-decoration:underline}
nav a{color:inherit}
main{padding:2rem clamp(1rem,4vw,4rem) 6rem;max-width:66rem}
h1{margin-top:0;font-size:1.8rem;line-height:1.2}
h2{margin:3.5rem 0 1rem;padding-bottom:.3rem;border-bottom:2px solid var(--line)}
h3{margin:0;font-size:1.05rem;overflow-wrap:anywhere}
h4{margin:1.2rem 0 .3rem;font-size:.8rem;color:var(--soft);text-transform:uppercase;
letter-spacing:.05em}
h4:empty{display:none}
section{margin:0 0 1.5rem;padding:1.2rem;border:1px solid var(--line);border-radius:8px}
section:target{border-color:var(--link)}
section>p{margin:.4rem 0}
.summary{font-weight:600}
small,sup{color:var(--soft);font-weight:400}
code,pre{font:.875em/1.5 ui-monospace,Menlo,Consolas,monospace}
:not(pre)>code{overflow-wrap:anywhere}
pre{margin:1rem 0 0;padding:.8rem 1rem;overflow-x:auto;background:var(--shade);
border-radius:6px;user-select:all}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.9rem}
th{text-align:left;color:var(--soft);font-weight:500}
th,td{padding:.35rem 1rem .35rem 0;border-bottom:1px solid var(--line);vertical-align:top}
td:first-child{white-space:nowrap}
td:last-child{min-width:14rem}
.verb{font:600 .7rem/1 ui-monospace,Menlo,Consolas,monospace;min-width:3.2rem;
display:inline-block}
h3 .verb{font-size:.85rem;min-width:0;margin-right:.4rem}
.get{color:var(--get)}.put,.post{color:var(--put)}.patch{color:var(--patch)}
.delete{color:var(--delete)}
@media (max-width:52rem){body{display:block}nav{position:static;height:auto;max-height:40vh;
border-right:0;border-bottom:1px solid var(--line)}}
""".replace("\n", "")
