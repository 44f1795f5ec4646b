//! Bars and lines as SVG, drawn with the colours of the page around them.

use std::fmt::Write;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 200.0;
/// Room for the numbers at the left and below.
const LEFT: f64 = 64.0;
const BELOW: f64 = 24.0;
/// The width of a letter, at most on average.
const LETTER: f64 = 8.0;

/// One bar: what it is, and how high.
pub(super) struct Bar {
    pub(super) label: String,
    pub(super) value: f64,
    /// What a pointer on it is told.
    pub(super) title: String,
}

/// A bar for each value. Labels are left out where there is no room for them.
pub(super) fn bars(title: &str, bars: &[Bar]) -> String {
    let most = bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
    let mut svg = open(title, most);
    let step = (WIDTH - LEFT) / bars.len().max(1) as f64;
    let every = bars.len().div_ceil(12).max(1);
    for (nth, bar) in bars.iter().enumerate() {
        let height = scaled(bar.value, most);
        let (x, y) = (LEFT + step * nth as f64, HEIGHT - height);
        let _ = write!(
            svg,
            "<rect class=\"bar\" x=\"{:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{height:.1}\"><title>{}</title></rect>",
            x + step * 0.1,
            step * 0.8,
            super::html::escape(&bar.title),
        );
        if nth % every == 0 {
            // What has no room on the right of its bar ends where the chart does.
            let middle = x + step / 2.0;
            let half = bar.label.chars().count() as f64 * LETTER / 2.0;
            if middle + half > WIDTH {
                label(&mut svg, WIDTH, "end", &bar.label);
            } else {
                label(&mut svg, middle, "middle", &bar.label);
            }
        }
    }
    svg + "</svg>"
}

/// A line through values at equal distances, from the time zero to `end`.
pub(super) fn line(title: &str, values: &[f64], end: &str) -> String {
    let most = values.iter().copied().fold(0.0, f64::max);
    let mut svg = open(title, most);
    let step = (WIDTH - LEFT) / values.len().saturating_sub(1).max(1) as f64;
    let mut points = String::new();
    for (nth, &value) in values.iter().enumerate() {
        let _ = write!(
            points,
            "{:.1},{:.1} ",
            LEFT + step * nth as f64,
            HEIGHT - scaled(value, most)
        );
    }
    let last = LEFT + step * values.len().saturating_sub(1) as f64;
    let _ = write!(
        svg,
        "<polygon class=\"area\" points=\"{LEFT},{HEIGHT} {points}{last:.1},{HEIGHT}\"/>\
         <polyline class=\"line\" points=\"{points}\"/>"
    );
    label(&mut svg, LEFT, "start", "0 s");
    label(&mut svg, WIDTH, "end", end);
    svg + "</svg>"
}

/// The frame, with the greatest value and half of it at the left.
fn open(title: &str, most: f64) -> String {
    let title = super::html::escape(title);
    let mut svg = format!(
        "<svg viewBox=\"0 -12 {WIDTH} {}\" role=\"img\" aria-label=\"{title}\">",
        HEIGHT + BELOW + 12.0
    );
    for part in [0.0, 0.5, 1.0] {
        let y = HEIGHT - HEIGHT * part;
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y}\" y2=\"{y}\"/>\
             <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            LEFT - 6.0,
            y + 4.0,
            number(most * part),
        );
    }
    svg
}

fn label(svg: &mut String, x: f64, anchor: &str, text: &str) {
    let text = super::html::escape(text);
    let y = HEIGHT + 16.0;
    let _ = write!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"{anchor}\">{text}</text>"
    );
}

fn scaled(value: f64, most: f64) -> f64 {
    if most > 0.0 {
        value / most * HEIGHT
    } else {
        0.0
    }
}

/// A number in few characters.
pub(super) fn number(value: f64) -> String {
    match value {
        v if v >= 10_000_000.0 => format!("{:.0} M", v / 1e6),
        v if v >= 1_000_000.0 => format!("{:.1} M", v / 1e6),
        v if v >= 10_000.0 => format!("{:.0} k", v / 1e3),
        v if v >= 100.0 || v == v.trunc() => format!("{v:.0}"),
        v if v >= 1.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charts_are_whole_whatever_the_values() {
        for values in [
            vec![],
            vec![0.0],
            vec![1.0],
            vec![0.0, 0.0],
            vec![1.0, 1e12, 3.0],
        ] {
            let bar = |value: &f64| Bar {
                label: "<a>".into(),
                value: *value,
                title: "\"b\"".into(),
            };
            let all: Vec<_> = values.iter().map(bar).collect();
            for svg in [bars("t", &all), line("t", &values, "9 s")] {
                assert!(svg.starts_with("<svg") && svg.ends_with("</svg>"));
                assert!(
                    !svg.contains("NaN") && !svg.contains("inf") && !svg.contains("<a>"),
                    "{svg}"
                );
            }
        }
        // Seventeen narrow bars, of which every other one and the last have labels. None is cut off. The negative
        // control: the middle of the bar for all of them.
        let narrow = (0..17).map(|nth| Bar {
            label: format!("{nth}00 ms"),
            value: 1.0,
            title: String::new(),
        });
        let svg = bars("t", &narrow.collect::<Vec<_>>());
        assert!(
            svg.contains("x=\"640.0\" y=\"216\" text-anchor=\"end\">1600 ms<"),
            "{svg}"
        );
        assert_eq!(number(1234.0), "1234");
        assert_eq!(number(12_345.0), "12 k");
        assert_eq!(number(0.256), "0.26");
    }
}
