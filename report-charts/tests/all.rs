//! Every kind of chart: what is drawn, where, and how it is described.

use report_charts::{Bars, Chart, DrawError, Group, Line, Lines, Part, Quantity, Range, Ranges, Scale, Strip};

fn group<T>(label: &str, values: Vec<Option<T>>) -> Group<T> {
    Group { label: label.to_owned(), values }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn ranges(groups: Vec<Group<Range>>) -> Ranges {
    Ranges {
        title: "Time of `add`".to_owned(),
        quantity: Quantity::Time,
        scale: Scale::Logarithmic,
        series: names(&["call", "restore"]),
        groups,
    }
}

fn bars(groups: Vec<Group<f64>>) -> Bars {
    Bars {
        title: "Bytes restored".to_owned(),
        quantity: Quantity::Bytes,
        scale: Scale::Linear,
        series: names(&["restored"]),
        groups,
    }
}

fn lines(lines: Vec<Line>) -> Lines {
    Lines { title: "Memory".to_owned(), count: "calls".to_owned(), quantity: Quantity::Bytes, lines }
}

/// The numbers of an attribute of every element of a kind.
fn numbers(svg: &str, element: &str, attribute: &str) -> Vec<f64> {
    let elements = svg.split('<').filter(|part| part.starts_with(element));
    let value = |part: &str| part.split(&format!(" {attribute}=\"")).nth(1)?.split('"').next()?.parse().ok();
    elements.filter_map(value).collect()
}

/// That every coordinate lies in the drawing.
fn assert_inside(chart: &Chart) {
    let svg = chart.inline();
    let size = |attribute| numbers(&svg, "svg", attribute)[0];
    let (width, height) = (size("width"), size("height"));
    for (element, x, y) in [("circle", "cx", "cy"), ("rect", "x", "y"), ("text", "x", "y")] {
        assert!(numbers(&svg, element, x).iter().all(|x| (0.0..=width).contains(x)), "{element}: {svg}");
        assert!(numbers(&svg, element, y).iter().all(|y| (0.0..=height).contains(y)), "{element}: {svg}");
    }
    let points = svg.split(" points=\"").skip(1).flat_map(|part| part.split('"').next().unwrap().split_whitespace());
    for point in points {
        let (x, y) = point.split_once(',').unwrap();
        let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
        assert!((0.0..=width).contains(&x) && (0.0..=height).contains(&y), "{point}: {svg}");
    }
}

#[test]
fn a_range_is_where_its_values_are() {
    let range = |low, middle, high| Some(Range { low, middle, high });
    let chart = ranges(vec![
        group("leaking, full-copy", vec![range(100.0, 200.0, 400.0), range(1e3, 2e3, 1e6)]),
        group("freelist, none", vec![range(90.0, 150.0, 151.0), None]),
    ])
    .draw()
    .unwrap();
    assert_inside(&chart);
    let svg = chart.inline();
    let dots = numbers(&svg, "circle", "cx");
    assert_eq!(dots.len(), 3, "{svg}");
    assert!(dots[2] < dots[0] && dots[0] < dots[1], "{dots:?}");
    assert!(svg.contains("role=\"img\"") && svg.contains("<title>Time of `add`</title>"), "{svg}");
    for wanted in ["leaking, full-copy", "restore", "fill=\"currentColor\"", "var(--chart-1,", "var(--chart-grid,"] {
        assert!(svg.contains(wanted), "{wanted}: {svg}");
    }
    assert_eq!(
        chart.description(),
        "leaking, full-copy: call 200 ns (100 ns to 400 ns), restore 2 us (1 us to 1 ms); \
         freelist, none: call 150 ns (90 ns to 151 ns)"
    );
}

#[test]
fn bars_are_as_long_as_their_values() {
    let groups = vec![group("a", vec![Some(512.0)]), group("b", vec![Some(1024.0)]), group("c", vec![Some(0.0)])];
    let chart = bars(groups).draw().unwrap();
    assert_inside(&chart);
    let wide = numbers(&chart.inline(), "rect", "width");
    assert!((wide[1] - 2.0 * wide[0]).abs() <= 2.0 && wide[2] <= 2.0, "{wide:?}");
    assert_eq!(chart.description(), "a: 512 B; b: 1 KiB; c: 0 B");
}

#[test]
fn lines_rise_with_their_values() {
    let line = |name: &str, points: &[(f64, f64)]| Line {
        name: name.to_owned(),
        colour: 0,
        is_dashed: name == "not restored",
        points: points.to_vec(),
    };
    let chart = lines(vec![
        line("not restored", &[(0.0, 65_536.0), (500.0, 655_360.0), (1000.0, 1_310_720.0)]),
        line("restored", &[(0.0, 65_536.0), (1000.0, 65_536.0)]),
    ])
    .draw()
    .unwrap();
    assert_inside(&chart);
    let ends = numbers(&chart.inline(), "circle", "cy");
    assert!(ends[0] + 100.0 < ends[1], "{ends:?}");
    assert_eq!(chart.inline().matches("stroke-dasharray").count(), 2, "a line, and its legend");
    assert!(chart.description().contains("not restored: 64 KiB at 0 calls, 1.25 MiB at 1,000"));
}

#[test]
fn parts_have_their_share_and_small_ones_can_be_seen() {
    let part = |name: &str, size| Part { name: name.to_owned(), size };
    let parts = vec![part("stack", 1_048_576.0), part("statics", 10.0), part("heap", 1_048_576.0), part("none", 0.0)];
    let chart = Strip { title: "Memory".to_owned(), quantity: Quantity::Bytes, parts }.draw().unwrap();
    assert_inside(&chart);
    // Three parts, and three squares of the legend.
    let wide = numbers(&chart.inline(), "rect", "width");
    assert_eq!(wide.len(), 6);
    assert!(wide[1] >= 3.0 && (wide[0] - wide[2]).abs() <= 2.0, "{wide:?}");
    assert_eq!(chart.description(), "stack 1 MiB; statics 10 B; heap 1 MiB");
}

#[test]
fn odd_values_are_drawn_inside_or_refused() {
    let odd = [0.0, -1.0, f64::NAN, f64::INFINITY, f64::MAX, f64::MIN_POSITIVE];
    for value in odd {
        let range = Range { low: value, middle: value, high: value };
        let drawn = [
            ranges(vec![group("x", vec![Some(range)])]).draw(),
            bars(vec![group("x", vec![Some(value)])]).draw(),
            lines(vec![Line { name: "x".to_owned(), colour: 9, is_dashed: true, points: vec![(value, value)] }]).draw(),
        ];
        for chart in drawn {
            match chart {
                Ok(chart) => assert_inside(&chart),
                Err(error) => assert!(matches!(error, DrawError::Empty { .. }), "{value}: {error}"),
            }
        }
    }
    assert!(matches!(ranges(Vec::new()).draw(), Err(DrawError::Empty { .. })));
    assert!(matches!(bars(vec![group("x", vec![None])]).draw(), Err(DrawError::Empty { .. })));
    assert!(matches!(lines(Vec::new()).draw(), Err(DrawError::Empty { .. })));
}

#[test]
fn a_document_has_its_own_colours() {
    let chart = bars(vec![group("a", vec![Some(1.0)])]).draw().unwrap();
    assert!(chart.document().contains("prefers-color-scheme:dark") && !chart.inline().contains("<style"));
}
