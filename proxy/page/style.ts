/** The page's only style sheet. Its hash is in the page's content security policy, so that no element can carry a style of its own. */
export const style = `
:root{color-scheme:light dark;--ground:#fbfaf7;--raised:#fff;--text:#1e1d1a;--quiet:#5f5b53;--line:#dfdbd2;--mark:#177a69;--good:#11695a;--wait:#80500a;--bad:#a3271f}
@media(prefers-color-scheme:dark){:root{--ground:#151614;--raised:#1d1f1c;--text:#e8e6e0;--quiet:#a8a59c;--line:#363832;--mark:#5fbfa9;--good:#74cdb8;--wait:#e3b161;--bad:#f29a90}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:66rem;padding:1.5rem 1rem 3rem;background:var(--ground);color:var(--text);font:1rem/1.5 system-ui,sans-serif;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
h1,h2,h3,p,ol,dl,dd,figure,pre{margin:0;padding:0}
h1{font-size:1.75rem;line-height:1.2;font-weight:650;letter-spacing:-.015em}
h2{font-size:1.125rem;font-weight:650;margin-bottom:.75rem}
h3{font-size:1rem;font-weight:650}
code,pre{font:.875em/1.6 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
.skip{position:absolute;left:1rem;top:-4rem;padding:.5rem .75rem;background:var(--text);color:var(--ground)}
.skip:focus{top:.5rem}
:focus-visible{outline:3px solid var(--mark);outline-offset:2px;border-radius:3px}
main:focus{outline:none}
.brand{display:flex;flex-wrap:wrap;justify-content:space-between;gap:0 1rem;margin-bottom:1rem}
.brand b{color:var(--mark)}
.quiet,.axis,footer{color:var(--quiet);font-size:.875rem}
.state{margin-top:.5rem;max-width:44rem}
b{font-weight:650}
.state b::before{content:"";display:inline-block;width:.625rem;height:.625rem;margin-right:.5rem;border:2px solid;border-radius:50%}
.state .good::before{background:currentColor}
.good{color:var(--good)}.wait{color:var(--wait)}.bad{color:var(--bad)}
.problem{margin-top:.5rem;padding-left:.75rem;border-left:3px solid var(--bad);max-width:44rem}
section{margin-top:2.5rem}
section:empty{display:none}
.model{display:grid;gap:1rem 2rem;padding:1.25rem 0;border-top:1px solid var(--line)}
.picture{display:flex;flex-wrap:wrap;align-items:center;gap:4px;margin:.75rem 0 .25rem}
.slot{width:1.75rem;height:1.25rem;border:2px solid var(--mark);border-radius:3px}
.slot.busy{background:var(--mark)}
.slot.claimed{background:linear-gradient(135deg,var(--mark) 50%,transparent 50%)}
.slot.free{border-color:var(--quiet)}
.gap{width:.75rem}
.person{width:.75rem;height:1.0625rem;fill:var(--wait)}
.plot figcaption{font-size:.875rem}
.figures{display:block;color:var(--quiet)}.figures b{color:var(--text)}
.plot svg{display:block;width:100%;height:3.5rem;margin-top:.375rem;border-bottom:1px solid var(--line);fill:var(--mark)}
.axis{display:flex;justify-content:space-between;font-size:.75rem}
table{width:100%;border-collapse:collapse;font-size:.875rem}
th,td{padding:.5rem .5rem .5rem 0;border-top:1px solid var(--line);text-align:left;vertical-align:top;font-weight:400;overflow-wrap:normal}
td+td{white-space:nowrap}
thead th{color:var(--quiet);border:0}
.bar{display:block;width:100%;max-width:8rem;height:.25rem;margin-top:.25rem;background:var(--line);fill:var(--mark)}
ol{list-style:none}
li{padding:.75rem 0;border-top:1px solid var(--line)}
li p+p{max-width:48rem}
.block{display:flex;flex-wrap:wrap;justify-content:space-between;align-items:center;gap:.5rem 1rem;margin-bottom:1.5rem;max-width:48rem}
pre{flex:0 0 100%;padding:.875rem 1rem;background:var(--raised);border:1px solid var(--line);border-radius:6px;overflow-x:auto;overflow-wrap:normal}
button{display:none;min-height:2.25rem;padding:.25rem .875rem;font:inherit;font-size:.875rem;color:var(--text);background:none;border:1px solid var(--quiet);border-radius:6px;cursor:pointer}
button:hover{background:var(--raised)}
.scripted button{display:block}
#notice{position:sticky;bottom:1rem;width:fit-content;margin:1rem auto 0;padding:.5rem 1rem;border-radius:6px;background:var(--text);color:var(--ground)}
#notice:empty{visibility:hidden}
footer{margin-top:3rem;padding-top:1rem;border-top:1px solid var(--line)}
dl{display:flex;flex-wrap:wrap;gap:.25rem 1.5rem;margin-bottom:.5rem}
dl div{display:flex;gap:.375rem}
dd{color:var(--text)}
@media(min-width:48rem){body{padding:2.5rem 2rem 4rem}.model{grid-template-columns:1.2fr 1fr 1fr;gap:2.5rem}}
@media(forced-colors:active){.slot.busy{background:CanvasText}.person,.plot svg,.bar{fill:CanvasText}}
`;
