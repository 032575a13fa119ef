"""One self-contained HTML page of findings, fit for the annex of a data-protection assessment.

Rules kept here:
- Everything that comes from a file is escaped; no script, no address of another host, no outside font.
- Each claim stands with what it is not: residual capabilities, scope, attacks whose control failed.
- A verdict is never shown without its attacks, its budget and its confidence.

What this file does NOT do: colour alone never carries a verdict; its word always stands there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from securefl import markup
from securefl.threats import words
from securefl.threats.campaign import Finding
from securefl.threats.model import Measured, ThreatModel
from securefl.threats.verdict import Word

_CSS = """
:root { color-scheme: light }
* { box-sizing: border-box }
body { margin: 0; background: #fff; color: #1b1f24;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif }
main { max-width: 980px; margin: 0 auto; padding: 28px 24px 64px }
h1 { font-size: 28px; line-height: 1.2; margin: 0 0 4px }
h2 { font-size: 20px; margin: 44px 0 4px; padding-top: 14px; border-top: 2px solid #1b1f24 }
h3 { font-size: 16px; margin: 0 }
p { margin: 6px 0 }
.quiet { color: #59636e }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; font-variant-numeric: tabular-nums;
  margin: 10px 0 }
th, td { padding: 5px 12px 5px 0; text-align: left; vertical-align: top; border-bottom: 1px solid #d9dee3 }
th { color: #59636e; font-weight: 500 }
td.number { white-space: nowrap }
.word { display: inline-block; padding: 0 8px; border: 1.5px solid; border-radius: 4px; font-size: 12.5px;
  font-weight: 600; white-space: nowrap }
.HOLDS { color: #00558c } .REFUTED { color: #b23c00 } .INCONCLUSIVE { color: #8a5a00 }
.NOT_TESTED { color: #59636e; border-style: dashed }
.claim { margin: 18px 0 0; padding: 14px 18px 8px; border: 1px solid #d9dee3; border-radius: 8px }
.claim header { display: flex; gap: 12px; align-items: baseline; justify-content: space-between }
dl { display: grid; grid-template-columns: 150px 1fr; gap: 3px 16px; margin: 10px 0; font-size: 14px }
dt { color: #59636e } dd { margin: 0 }
ul { margin: 0; padding-left: 18px }
code { font: 12.5px/1.4 ui-monospace, "SF Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere }
.scroll { overflow-x: auto }
@media print { main { max-width: none; padding: 0 } .claim { break-inside: avoid } h2 { break-after: avoid } }
"""
_HOW_TO_READ = (
    "Every number measures harm, so less is better. Each claim is tested twice: with the system as it is "
    "configured (defended), and with the defence switched off (undefended), where the attack has to succeed; "
    "otherwise its failure would prove nothing. In brackets stand one-sided bounds at the claim's "
    "confidence, shared over its attacks (Bonferroni): exact Clopper-Pearson bounds for proportions of "
    "independent trials, Student's t over seeds for differences in accuracy. HOLDS means: against these "
    "attacks, within this budget, at this confidence, and no more. Confidence is per claim, not over the "
    "whole page."
)


def render(findings: Sequence[Finding], made: str) -> str:
    """The page; `made` says when and with what it was made."""
    models = {one.model.id: one.model for one in findings}
    sections = (
        _model(model, [one for one in findings if one.model.id == name]) for name, model in models.items()
    )
    body = "\n".join((_head(findings, made), *sections))
    return markup.page("securefl verify", _CSS, body)


def _head(findings: Sequence[Finding], made: str) -> str:
    counts = {word: sum(1 for one in findings if one.verdict.word is word) for word in Word}
    tally = " ".join(f"{_word(word)} {count}" for word, count in counts.items() if count)
    rows = [
        (
            f"<a href='#{escape(one.name)}'>{escape(one.name)}</a>",
            _word(one.verdict.word),
            escape(words.measured(one.verdict.undefended)),
            escape(words.measured(one.verdict.defended)),
            escape(words.bound(one.claim)),
        )
        for one in findings
    ]
    return (
        "<h1>Threat models, tested</h1>"
        f"<p class=quiet>{escape(made)}</p><p>{tally}</p><p>{escape(_HOW_TO_READ)}</p>"
        f"{_table(('claim', 'verdict', 'undefended', 'defended', 'bound'), rows)}"
    )


def _model(model: ThreatModel, findings: Sequence[Finding]) -> str:
    adversary, can = model.adversary, model.capabilities
    abilities = [
        f"{name}: {', '.join(given).replace('_', ' ')}"
        for name, given in (
            ("sees", can.sees),
            ("may send", can.may_send),
            ("may replace", can.may_replace),
            ("knows", can.knows),
        )
        if given
    ]
    rounds = (
        "the whole run" if can.queries is None else f"{can.queries} round{'s' if can.queries > 1 else ''}"
    )
    facts = [
        ("Adversary", f"{adversary.behaviour} {adversary.role}, colludes with {adversary.colludes_with}"),
        ("Can", "; ".join((*abilities, f"takes part in or watches {rounds}"))),
        ("Asset", model.asset),
    ]
    return (
        f"<h2>{escape(model.id.replace('_', ' '))}</h2>{_facts((key, escape(value)) for key, value in facts)}"
        + "".join(_claim(one) for one in findings)
    )


def _claim(finding: Finding) -> str:
    claim, verdict = finding.claim, finding.verdict
    facts = [("Verdict", escape(verdict.reason + "."))]
    if words.terms(finding):
        facts.append(("Tested", escape(words.terms(finding))))
    if isinstance(claim, Measured):
        facts += _measurement(finding, claim)
    else:
        facts.append(("Tests", _list(f"<code>{escape(node)}</code>" for node in claim.tests)))
    facts += [
        ("Can still", _list(map(escape, claim.residual))),
        ("Not about", _list(map(escape, claim.out_of_scope))),
    ]
    references = [f"MITRE ATLAS {one}" for one in claim.references.atlas]
    references += [f"NIST AI 100-2: {one}" for one in claim.references.nist]
    if references:
        facts.append(("See", escape("; ".join(references))))
    return (
        f"<div class=claim id='{escape(finding.name)}'><header><h3>{escape(claim.sentence)}</h3>"
        f"{_word(verdict.word)}</header>{_facts(facts)}</div>"
    )


def _measurement(finding: Finding, claim: Measured) -> list[tuple[str, str]]:
    off = ", ".join(claim.control.overrides) or f"{claim.control.count} clients instead of {claim.count}"
    facts = [
        ("Harm", escape(f"{words.meaning(claim)}; claimed to be at most {claim.bound:g}")),
        ("Defence off", f"<code>{escape(off)}</code>, {escape(f'then at least {claim.control.bound:g}')}"),
    ]
    if finding.config:
        facts.append(("System", f"config <code>{escape(finding.config)}</code>"))
    if finding.verdict.by_attack:
        rows = [
            (
                f"<code>{escape(name)}</code>",
                escape(words.measured(off_)),
                escape(words.measured(on)),
                "no: shows nothing" if name in finding.verdict.toothless else "yes",
            )
            for name, (on, off_) in finding.verdict.by_attack.items()
        ]
        columns = ("attack", "undefended", "defended", "control reached")
        facts.append(("By attack", _table(columns, rows)))
    return facts


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    return f"<dl>{''.join(f'<dt>{escape(key)}</dt><dd>{value}</dd>' for key, value in facts)}</dl>"


def _list(items: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{one}</li>' for one in items)}</ul>"


def _word(word: Word) -> str:
    return f"<span class='word {word.name}'>{word}</span>"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return markup.table(columns, rows, cell="<td class=number>")
