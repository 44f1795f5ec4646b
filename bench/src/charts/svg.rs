//! As much of SVG as the charts need.

use std::fmt::Write as _;

/// Which end of a text its place is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A picture that is being drawn. Places are in pixels from the left and from the top.
#[derive(Debug)]
pub(super) struct Picture {
    text: String,
}

impl Picture {
    /// An empty picture of such a size, white so that it can be read on any page.
    pub(super) fn new(width: f64, height: f64) -> Self {
        let mut picture = Self {
            text: format!(
                "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
                 width=\"{width:.0}\" height=\"{height:.0}\" font-family=\"sans-serif\">\n"
            ),
        };
        picture.rectangle((0.0, 0.0), (width, height), "#ffffff");
        picture
    }

    /// A heading.
    pub(super) fn title(&mut self, x: f64, y: f64, text: &str) {
        self.text((x, y), 15.0, Anchor::Start, "#000000", text);
    }

    pub(super) fn rectangle(
        &mut self,
        (x, y): (f64, f64),
        (width, height): (f64, f64),
        fill: &str,
    ) {
        self.add(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" \
             fill=\"{fill}\"/>"
        ));
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), stroke: &str, width: f64) {
        self.add(format_args!(
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"{stroke}\" \
             stroke-width=\"{width}\"/>",
            from.0, from.1, to.0, to.1
        ));
    }

    /// A line through all the places, with a dot on each.
    pub(super) fn curve(&mut self, places: &[(f64, f64)], stroke: &str, width: f64) {
        let mut points = String::new();
        for (x, y) in places {
            let _ = write!(points, "{x:.1},{y:.1} ");
        }
        self.add(format_args!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{stroke}\" stroke-width=\"{width}\"/>",
            points.trim_end()
        ));
        for (x, y) in places {
            self.add(format_args!(
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{:.1}\" fill=\"{stroke}\"/>",
                width + 0.5
            ));
        }
    }

    pub(super) fn text(
        &mut self,
        (x, y): (f64, f64),
        size: f64,
        anchor: Anchor,
        fill: &str,
        text: &str,
    ) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        self.add(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" text-anchor=\"{anchor}\" \
             fill=\"{fill}\">{text}</text>"
        ));
    }

    /// The document.
    pub(super) fn finish(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }

    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        let _ = writeln!(self.text, "{element}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped() {
        let mut picture = Picture::new(10.0, 10.0);
        picture.title(0.0, 0.0, "a < b & c");
        assert!(picture.finish().contains(">a &lt; b &amp; c</text>"));
    }
}
