//! The report as one HTML file that needs no other.

use std::io::{self, Write};

use maud::{DOCTYPE, Markup, PreEscaped, html};

use host_harness::report::{Body, Report, Section, Table};

use super::Exporter;

/// Writes HTML.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Html;

const STYLE: &str = "
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 90rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .7rem; text-align: left; white-space: nowrap; border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent); }
th { border-bottom-width: 2px; vertical-align: bottom; }
.figure { text-align: right; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; } dt { opacity: .7; } dd { margin: 0; overflow-wrap: anywhere; }
.remark { opacity: .8; margin: .3rem 0; }
pre { overflow-x: auto; }
";

impl Exporter for Html {
    fn write(&self, report: &Report, out: &mut dyn Write) -> io::Result<()> {
        let title = format!("host-harness {}", report.command());
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { (title) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    h1 { (title) }
                    (facts(&report.header.facts()))
                    @for part in report.sections() { (section(&part)) }
                }
            }
        };
        out.write_all(page.into_string().as_bytes())?;
        out.write_all(b"\n")
    }
}

fn section(section: &Section) -> Markup {
    html! {
        section {
            @if !section.title.is_empty() { h2 { (section.title.replace('`', "")) } }
            @match &section.body {
                Body::Facts(list) => (facts(list)),
                Body::Table(cells) => (table(cells)),
                Body::Lines(lines) => pre { @for line in lines { (line) "\n" } },
            }
            @for remark in &section.remarks { p.remark { (remark) } }
        }
    }
}

fn facts(facts: &[(String, String)]) -> Markup {
    html! { dl { @for (name, value) in facts { dt { (name) } dd { (value) } } } }
}

fn table(table: &Table) -> Markup {
    html! {
        .wide {
            table {
                thead {
                    tr { @for (heading, is_figure) in &table.columns { th.figure[*is_figure] { (heading) } } }
                }
                tbody {
                    @for row in &table.rows {
                        tr { @for (cell, (_, is_figure)) in row.iter().zip(&table.columns) { td.figure[*is_figure] { (cell) } } }
                    }
                }
            }
        }
    }
}
