"""The style sheet of the page. Its colours are those of `figure.py`; it names no outside font or file."""

from __future__ import annotations

from securefl.report.figure import BLUE, HAIRLINE, INK, ORANGE, PALE_BLUE, QUIET, VERMILION
from securefl.report.survivors import FAINT_BLUE

CSS = f"""
:root {{ color-scheme: light }}
* {{ box-sizing: border-box }}
body {{ margin: 0; background: #fff; color: {INK};
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif }}
main {{ max-width: 1040px; margin: 0 auto; padding: 28px 24px 64px }}
h1 {{ font-size: 30px; line-height: 1.2; margin: 0; letter-spacing: -.01em }}
h2 {{ font-size: 19px; margin: 0 0 12px }}
h3, h4, h5, h6 {{ font-size: 15px; margin: 20px 0 6px }}
header {{ display: flex; flex-wrap: wrap; align-items: center; gap: 4px 14px }}
section {{ margin-top: 40px }}
.about {{ flex-basis: 100%; margin: 2px 0 0; color: {QUIET} }}
.tags {{ margin: 0 }}
.tag {{ display: inline-block; margin-right: 6px; padding: 1px 9px; border-radius: 999px; font-size: 13px;
  border: 1px solid {QUIET}; color: {QUIET} }}
.tag.good {{ border-color: {BLUE}; color: {BLUE} }}
.tag.bad {{ border-color: {VERMILION}; color: {VERMILION} }}
.banner {{ margin: 0 0 22px; padding: 12px 16px; background: #fdf0e8; border-left: 5px solid {VERMILION} }}
.tiles {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); gap: 18px 24px;
  margin: 24px 0 0; padding: 18px 0; border: solid {HAIRLINE}; border-width: 1px 0 }}
.tiles dt {{ color: {QUIET}; font-size: 13px }}
.tiles dd {{ margin: 0; font-size: 27px; font-weight: 600; line-height: 1.25;
  font-variant-numeric: tabular-nums }}
.tiles p {{ margin: 2px 0 0; color: {QUIET}; font-size: 13px; line-height: 1.35 }}
.panels {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(290px, 1fr)); gap: 12px 28px }}
figure {{ margin: 0 }}
figure svg {{ display: block; width: 100%; height: auto }}
figure svg text {{ font-family: inherit !important }}
figcaption, .aside, .key {{ color: {QUIET}; font-size: 13px }}
.aside, .key {{ margin: 8px 0 }}
.key i {{ display: inline-block; width: 12px; height: 12px; margin: 0 5px -1px 12px; border-radius: 2px }}
.key i:first-child {{ margin-left: 0 }}
.key .full {{ background: {PALE_BLUE} }} .key .part {{ background: {FAINT_BLUE} }}
.key .aborted {{ background: {ORANGE} }} .key .excluded {{ background: {VERMILION} }}
.key .cross {{ color: {VERMILION}; margin: 0 5px 0 12px }}
.key .gone {{ border: 1px solid {QUIET} }}
.card {{ padding: 4px 22px 10px; border: 1px solid {HAIRLINE}; border-radius: 8px; background: #fafbfc }}
table {{ border-collapse: collapse; font-size: 13.5px; font-variant-numeric: tabular-nums }}
th, td {{ padding: 4px 14px 4px 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid {HAIRLINE} }}
th {{ color: {QUIET}; font-weight: 500 }}
.scroll {{ overflow-x: auto }}
details {{ border-bottom: 1px solid {HAIRLINE}; padding: 8px 0 }}
summary {{ cursor: pointer; font-weight: 500 }}
code, pre {{ font: 13px/1.45 ui-monospace, "SF Mono", Menlo, Consolas, monospace }}
pre {{ overflow-x: auto; margin: 8px 0; padding: 12px; background: #f6f7f9 }}
code {{ background: #f0f2f4; padding: 0 4px; border-radius: 3px }}
blockquote {{ margin: 12px 0; padding-left: 14px; border-left: 3px solid {HAIRLINE} }}
@media print {{ main {{ max-width: none }} section {{ break-inside: avoid }} }}
"""
