//! The page and its sections.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use host_harness::report::{Body, Content, MeasureReport, Report, Section};

use super::{charts, table};

/// The look, for screens in light and dark, for phones and for paper.
const STYLE: &str = include_str!("style.css");

/// Sorts tables. Without it they stay as they are.
const SCRIPT: &str = include_str!("script.js");

/// The content security policy: the page may load nothing. Its own style and script are part of it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

/// The whole page.
pub(super) fn page(report: &Report) -> Markup {
    let title = format!("host-harness {}", report.command());
    let (answer, sections): (Vec<_>, Vec<_>) = report.sections().into_iter().partition(|part| part.is_answer);
    // Sections of the answer stand before the charts, details after them.
    let has_details = !answer.is_empty() && sections.iter().any(|part| part.is_detail);
    let (first, sections): (Vec<_>, Vec<_>) = sections.into_iter().partition(|part| has_details && !part.is_detail);
    let drawn = match &report.content {
        Content::Measure(measured) | Content::Compare(measured) => charts::of(measured),
        _ => Vec::new(),
    };
    let drawn_titles = drawn.iter().map(|part| part.title.clone());
    let titles = first.iter().map(heading).chain(drawn_titles).chain(sections.iter().map(heading));
    let titles: Vec<String> = titles.chain(["How to reproduce this".to_owned()]).collect();
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) (PreEscaped(report_charts::style())) }
            }
            body {
                a.skip href="#content" { "Skip to the content" }
                header {
                    h1 { (title) }
                    p.faint { (report.header.date) ", " (report.header.machine.cpu) }
                }
                main #content {
                    (answer_block(report, &answer))
                    nav aria-label="Contents" {
                        ul { @for (index, title) in titles.iter().enumerate() { @if !title.is_empty() {
                            li { a href={ "#part-" (index) } { (title) } }
                        } } }
                    }
                    @for (index, part) in first.iter().enumerate() { (section(part, index)) }
                    @for (index, part) in drawn.iter().enumerate() {
                        section id={ "part-" (first.len() + index) } { h2 { (part.title) } (part.body) }
                    }
                    @for (index, part) in sections.iter().enumerate() {
                        (section(part, first.len() + drawn.len() + index))
                    }
                    section id={ "part-" (titles.len() - 1) } { (reproduce(report)) }
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
}

/// The conclusion, and whether the checks passed.
fn answer_block(report: &Report, answer: &[Section]) -> Markup {
    html! {
        section.answer aria-label="Answer" {
            @for part in answer {
                h2 { (prose(&part.title)) }
                @match &part.body {
                    Body::Lines(lines) => @for line in lines { p.line { (prose(line)) } },
                    body => (content(&part.title, body)),
                }
                @for remark in &part.remarks { p.remark { (prose(remark)) } }
            }
            p.verdict {
                @if report.passed() { span.good { "\u{2713} Passed." } } @else { span.bad { "\u{2717} Failed." } }
                @if let Content::Measure(measured) | Content::Compare(measured) = &report.content {
                    " " (summary(measured))
                }
            }
        }
    }
}

/// The verdicts and failures of a measurement in one line.
fn summary(measured: &MeasureReport) -> String {
    let count = |number: usize, one: &str, many: &str| match number {
        1 => format!("1 {one}"),
        number => format!("{number} {many}"),
    };
    let failed = measured.rows.iter().filter(|row| row.failure.is_some()).count();
    let passed = measured.verdicts.iter().filter(|verdict| verdict.passed).count();
    let rows = count(measured.rows.len(), "row", "rows");
    let mut text = match failed {
        0 => format!("{rows} measured"),
        failed => format!("{rows} measured, {failed} of them failed"),
    };
    text.push_str(&match measured.verdicts.len() {
        0 => "; nothing was verified.".to_owned(),
        all => format!("; {passed} of {} verified.", count(all, "way of restoring", "ways of restoring")),
    });
    text
}

fn section(section: &Section, index: usize) -> Markup {
    html! {
        section id={ "part-" (index) } {
            @if !section.title.is_empty() { h2 { (prose(&section.title)) } }
            (content(&section.title, &section.body))
            @for remark in &section.remarks { p.remark { (prose(remark)) } }
        }
    }
}

fn content(title: &str, body: &Body) -> Markup {
    match body {
        Body::Facts(list) => facts(list),
        Body::Table(cells) => table::table(title, cells),
        Body::Lines(lines) => {
            html! { @if !lines.is_empty() { pre tabindex="0" { @for line in lines { (line) "\n" } } } }
        }
    }
}

/// The title of a section, without the marks of code.
fn heading(section: &Section) -> String {
    section.title.replace('`', "")
}

/// The command line, the versions and the seeds.
fn reproduce(report: &Report) -> Markup {
    let mut list = report.header.facts();
    if let Content::Measure(measured) | Content::Compare(measured) = &report.content {
        let mut seeds: Vec<u64> = measured.verdicts.iter().map(|verdict| verdict.seed).collect();
        seeds.sort_unstable();
        seeds.dedup();
        if !seeds.is_empty() {
            let seeds: Vec<String> = seeds.iter().map(u64::to_string).collect();
            list.push(("seed of verification".to_owned(), seeds.join(", ")));
        }
    }
    html! {
        h2 { "How to reproduce this" }
        @if !report.header.command_line.is_empty() {
            pre tabindex="0" { code { (report.header.command_line) } }
        }
        (facts(&list))
    }
}

fn facts(facts: &[(String, String)]) -> Markup {
    html! { dl { @for (name, value) in facts { dt { (name) } dd { (prose(value)) } } } }
}

/// A sentence, whose names between backticks are code. A backtick without a second one is itself.
fn prose(text: &str) -> Markup {
    let parts: Vec<&str> = text.split('`').collect();
    let is_paired = parts.len() % 2 == 1;
    html! {
        @if is_paired {
            @for (at, part) in parts.iter().enumerate() {
                @if at % 2 == 1 { code { (part) } } @else { (part) }
            }
        } @else { (text) }
    }
}
