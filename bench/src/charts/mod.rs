//! The figures as pictures: bars for the ratios, curves for latencies and for scaling.

use std::collections::BTreeMap;

use crate::{
    contender::Contender,
    results::{Comparison, Results},
    stats::QUANTILES,
    targets::Goal,
};

mod svg;

use svg::{Anchor, Picture};

/// A picture and the name of its file.
#[derive(Debug)]
pub struct Chart {
    /// The name of the file.
    pub name: &'static str,
    /// The SVG document.
    pub svg: String,
}

/// All charts that the results are enough for.
#[must_use]
pub fn all(results: &Results) -> Vec<Chart> {
    [
        ("ratios.svg", ratios(results)),
        ("latency.svg", latency(results)),
        ("scaling.svg", scaling(results)),
    ]
    .into_iter()
    .filter_map(|(name, svg)| Some(Chart { name, svg: svg? }))
    .collect()
}

/// A colour for each contender, told apart also by those who see no red or no green.
const fn colour(contender: Contender) -> &'static str {
    match contender {
        Contender::Heist => "#d55e00",
        Contender::HeistCoop => "#e9a06a",
        Contender::Tokio => "#0072b2",
        Contender::TokioCurrentThread => "#56b4e9",
        #[cfg(feature = "smol")]
        Contender::Smol => "#009e73",
        #[cfg(feature = "spargio")]
        Contender::Spargio => "#4d9de0",
        #[cfg(feature = "monoio")]
        Contender::Monoio => "#cc79a7",
        #[cfg(feature = "compio")]
        Contender::Compio => "#b09c00",
        #[cfg(feature = "glommio")]
        Contender::Glommio => "#7f6cc4",
        #[cfg(feature = "http-clients")]
        Contender::Reqwest => "#0072b2",
        #[cfg(feature = "http-clients")]
        Contender::HyperUtil => "#56b4e9",
        #[cfg(feature = "http-clients")]
        Contender::Hyper => "#009e73",
        #[cfg(feature = "http-clients")]
        Contender::HeistHyper => "#cc79a7",
        #[cfg(feature = "http-clients")]
        Contender::HeistCodec => "#e9a06a",
        Contender::ByHand => "#777777",
    }
}

const MET: &str = "#009e73";
const MISSED: &str = "#d55e00";
const NO_TARGET: &str = "#8aa4b8";
const GRID: &str = "#dddddd";

const BAR: f64 = 18.0;
const LABELS: f64 = 470.0;
const BARS: f64 = 520.0;

/// How many times as good as tokio Heist is, in every measure: a bar to the right if it is better, to the
/// left if it is worse, with a mark where the target is.
fn ratios(results: &Results) -> Option<String> {
    let rows: Vec<_> = results.scenarios.iter().flat_map(bars).collect();
    let most = rows
        .iter()
        .flat_map(|row| [row.factor, row.target.map_or(1.0, |(target, _)| target)])
        .map(|factor| factor.max(1.0 / factor))
        .fold(4.0, f64::max);
    if rows.is_empty() {
        return None;
    }
    let top = 56.0;
    let height = top + BAR * rows.len() as f64 + 10.0;
    let mut picture = Picture::new(LABELS + BARS + 70.0, height);
    picture.title(10.0, 22.0, "Heist beside tokio: how many times as good");
    let middle = LABELS + BARS / 2.0;
    let x = |factor: f64| middle + factor.max(1e-3).ln() / most.ln() * (BARS / 2.0);
    let mut tick = 1.0;
    while tick <= most {
        for factor in [tick, 1.0 / tick] {
            let label = if factor < 1.0 {
                format!("1/{tick}")
            } else {
                format!("{tick}")
            };
            picture.line((x(factor), top - 6.0), (x(factor), height - 8.0), GRID, 1.0);
            picture.text(
                (x(factor), top - 10.0),
                11.0,
                Anchor::Middle,
                "#555555",
                &label,
            );
        }
        tick *= 2.0;
    }
    for (row, index) in rows.iter().zip(0..) {
        let y = top + BAR * f64::from(index);
        let fill = match row.target {
            None => NO_TARGET,
            Some((_, true)) => MET,
            Some((_, false)) => MISSED,
        };
        let base = y + BAR - 5.0;
        picture.text(
            (LABELS - 8.0, base),
            12.0,
            Anchor::End,
            "#222222",
            &row.label,
        );
        let (from, to) = (x(1.0).min(x(row.factor)), x(1.0).max(x(row.factor)));
        picture.rectangle((from, y + 3.0), (to - from, BAR - 6.0), fill);
        if let Some((target, _)) = row.target {
            picture.line(
                (x(target), y + 1.0),
                (x(target), y + BAR - 1.0),
                "#000000",
                2.0,
            );
        }
        let figure = format!("x {:.2}", row.ratio);
        picture.text(
            (LABELS + BARS + 8.0, base),
            11.0,
            Anchor::Start,
            "#222222",
            &figure,
        );
    }
    let legend = [
        (MET, "target met"),
        (MISSED, "target missed"),
        (NO_TARGET, "no target"),
        ("#000000", "| target"),
    ];
    let mut place = LABELS + 60.0;
    for (fill, text) in legend {
        picture.text((place, 22.0), 12.0, Anchor::Start, fill, text);
        place += 110.0;
    }
    Some(picture.finish())
}

/// One bar of the ratios.
struct Bar {
    label: String,
    /// Our figure divided by tokio's.
    ratio: f64,
    /// How many times as good that is.
    factor: f64,
    /// The same for the target, and whether it is met.
    target: Option<(f64, bool)>,
}

fn bars(comparison: &Comparison) -> Vec<Bar> {
    let Some(heist) = comparison.entry(Contender::Heist) else {
        return Vec::new();
    };
    let label = match comparison.baseline {
        Contender::Tokio => comparison.name.clone(),
        other => format!("{} (of {other})", comparison.name),
    };
    let bar = |(index, measure): (usize, &crate::scenario::Measure)| {
        let ratio = comparison.ratio(heist, index)?.median;
        let factor = |ratio: f64| {
            if measure.more_is_better {
                ratio
            } else {
                1.0 / ratio
            }
        };
        let standing = crate::targets::TARGETS
            .iter()
            .filter(|one| one.scenario == comparison.name && one.measure == measure.name)
            .filter(|one| !matches!(one.goal, Goal::OfByHand(_)))
            .find_map(|one| comparison.standing(one));
        let target = standing.map(|standing| {
            let goal = match standing.target.goal {
                Goal::Figure(_) => standing.goal / standing.reached.median * ratio,
                _ => standing.goal,
            };
            (factor(goal), standing.is_met())
        });
        let label = match measure.name {
            "" => label.clone(),
            name => format!("{label}: {name}"),
        };
        Some(Bar {
            label,
            ratio,
            factor: factor(ratio),
            target,
        })
    };
    let measures = comparison.measures.iter().enumerate();
    measures.filter_map(bar).collect()
}

/// The scenarios whose latencies are drawn.
const TIMED: &[&str] = &[
    "echo, 64 connections, 64 B",
    "echo, 512 connections, 64 B",
    "low rate, 500 messages/s",
    "low rate, 8000 messages/s",
    "low rate, 8000 messages/s beside a spinning task",
    "low rate, 8000 messages/s beside bursts of 1 ms, load 64 %",
    "low rate, 8000 messages/s beside a long spin",
    "server, 64 connections from another process",
    "100 k sleeps of 1-100 ms",
    "64 low-rate timers",
];

/// A curve of each contender's quantiles in some scenarios; the times are on a logarithmic scale.
fn latency(results: &Results) -> Option<String> {
    let panels = TIMED.iter().filter_map(|name| {
        let comparison = results.scenarios.iter().find(|one| one.name == *name)?;
        let curves = comparison.entries.iter().filter_map(|entry| {
            let quantiles = entry.latencies()?.0;
            let points = (0..).zip(quantiles).map(|(i, us)| (f64::from(i), us));
            Some((entry.contender, points.collect()))
        });
        Some(Panel {
            title: format!("{name}, us"),
            curves: curves.collect(),
            logarithmic: true,
        })
    });
    let labels = QUANTILES
        .iter()
        .map(|q| format!("p{}", (q * 1000.0).round() / 10.0))
        .collect();
    grid(
        "Latencies by quantile",
        &panels.collect::<Vec<_>>(),
        &Axis::Names(labels),
    )
}

/// Each contender's first figure over the connections, the workers or the operations in flight.
fn scaling(results: &Results) -> Option<String> {
    let mut curves: BTreeMap<(&str, &str), Vec<(usize, &Comparison)>> = BTreeMap::new();
    for comparison in &results.scenarios {
        for point in &comparison.points {
            curves
                .entry(point.curve)
                .or_default()
                .push((point.x, comparison));
        }
    }
    let panels = curves.into_iter().filter(|(_, places)| places.len() > 1);
    let panels = panels.map(|((what, over), mut places)| {
        places.sort_by_key(|(x, _)| *x);
        let unit = places[0].1.measures[0].unit;
        let mut all = Vec::new();
        for contender in Contender::ALL {
            let points: Vec<_> = places
                .iter()
                .filter_map(|(x, comparison)| {
                    let entry = comparison.entry(*contender)?;
                    let figure = crate::stats::median(&entry.values(0));
                    Some(((*x as f64).log2(), figure))
                })
                .collect();
            if points.len() > 1 {
                all.push((*contender, points));
            }
        }
        Panel {
            title: format!("{what}: {unit} by {over}"),
            curves: all,
            logarithmic: false,
        }
    });
    grid("Scaling", &panels.collect::<Vec<_>>(), &Axis::PowersOfTwo)
}

/// One diagram of several.
struct Panel {
    title: String,
    curves: Vec<(Contender, Vec<(f64, f64)>)>,
    /// Whether its vertical axis is.
    logarithmic: bool,
}

/// What the horizontal axis shows.
enum Axis {
    /// These, at 0, 1, 2 and so on.
    Names(Vec<String>),
    /// 2 to the power of 0, 1, 2 and so on.
    PowersOfTwo,
}

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 62.0;

/// Two diagrams a row, and who is who above them.
fn grid(title: &str, panels: &[Panel], axis: &Axis) -> Option<String> {
    if panels.is_empty() {
        return None;
    }
    let top = 60.0;
    let rows = panels.len().div_ceil(2) as f64;
    let mut picture = Picture::new(2.0 * WIDTH + 20.0, top + rows * HEIGHT);
    picture.title(10.0, 22.0, title);
    let mut place = 10.0;
    for contender in Contender::ALL {
        let drawn = |panel: &Panel| panel.curves.iter().any(|(one, _)| one == contender);
        if panels.iter().any(drawn) {
            let fill = colour(*contender);
            picture.rectangle((place, 36.0), (14.0, 10.0), fill);
            picture.text(
                (place + 19.0, 45.0),
                12.0,
                Anchor::Start,
                "#222222",
                contender.name(),
            );
            place += 40.0 + 7.0 * contender.name().len() as f64;
        }
    }
    for (panel, index) in panels.iter().zip(0_u32..) {
        let left = 10.0 + f64::from(index % 2) * WIDTH;
        let y = top + f64::from(index / 2) * HEIGHT;
        panel.draw(&mut picture, (left, y), axis);
    }
    Some(picture.finish())
}

impl Panel {
    fn draw(&self, picture: &mut Picture, (left, top): (f64, f64), axis: &Axis) {
        let points = || self.curves.iter().flat_map(|(_, points)| points);
        let last = points().map(|(x, _)| *x).fold(1.0, f64::max);
        let most = points().map(|(_, y)| *y).fold(1e-9, f64::max);
        let least = points().map(|(_, y)| y.max(0.1)).fold(most, f64::min);
        let (lowest, highest) = if self.logarithmic {
            (least.log10().floor(), most.log10().ceil())
        } else {
            (0.0, most * 1.05)
        };
        let (from, to) = (left + LEFT, left + WIDTH - 20.0);
        let (ceiling, floor) = (top + 26.0, top + HEIGHT - 28.0);
        let x = |value: f64| from + value / last * (to - from);
        let y = |value: f64| {
            let value = if self.logarithmic {
                value.max(0.1).log10()
            } else {
                value
            };
            floor - (value - lowest) / (highest - lowest).max(1e-9) * (floor - ceiling)
        };
        picture.text(
            (left + 8.0, top + 14.0),
            12.0,
            Anchor::Start,
            "#000000",
            &self.title,
        );
        let marks: Vec<f64> = if self.logarithmic {
            (lowest as i32..=highest as i32)
                .map(|power| 10_f64.powi(power))
                .collect()
        } else {
            (0..=4).map(|part| most * f64::from(part) / 4.0).collect()
        };
        for mark in marks {
            picture.line((from, y(mark)), (to, y(mark)), GRID, 1.0);
            let label = crate::stats::short(mark);
            picture.text(
                (from - 6.0, y(mark) + 4.0),
                10.0,
                Anchor::End,
                "#555555",
                &label,
            );
        }
        for step in 0..=last as u32 {
            let label = match axis {
                Axis::Names(names) => names.get(step as usize).cloned().unwrap_or_default(),
                Axis::PowersOfTwo => (1_u64 << step).to_string(),
            };
            let place = x(f64::from(step));
            picture.line((place, ceiling), (place, floor), GRID, 1.0);
            picture.text(
                (place, floor + 15.0),
                10.0,
                Anchor::Middle,
                "#555555",
                &label,
            );
        }
        // Heist last, so that it is on top.
        for (contender, points) in self.curves.iter().rev() {
            let width = if *contender == Contender::Heist {
                3.0
            } else {
                1.5
            };
            let places: Vec<_> = points
                .iter()
                .map(|point| (x(point.0), y(point.1)))
                .collect();
            picture.curve(&places, colour(*contender), width);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        results::tests::comparison,
        scenario::{Measure, Point, Scale, Setup},
        stats::Quantiles,
    };

    fn results() -> Results {
        let setup = Setup {
            workers: 2,
            scale: Scale::Full,
        };
        let mut results = Results::new(setup, 1);
        for (x, name) in [
            (1, "echo, 1 connection, 64 B"),
            (64, "echo, 64 connections, 64 B"),
        ] {
            let mut one = comparison(
                name,
                Measure::more("", "messages/s"),
                &[(Contender::Heist, &[150.0]), (Contender::Tokio, &[100.0])],
            );
            one.points = vec![Point {
                curve: ("echo", "connections"),
                x,
            }];
            for entry in &mut one.entries {
                entry.rounds[0].latency = Some(Quantiles([7.0; QUANTILES.len()]));
            }
            results.scenarios.push(one);
        }
        results
    }

    #[test]
    fn all_three_charts_are_drawn() {
        let charts = all(&results());
        let names: Vec<_> = charts.iter().map(|chart| chart.name).collect();
        assert_eq!(names, ["ratios.svg", "latency.svg", "scaling.svg"]);
        for chart in charts {
            assert!(chart.svg.starts_with("<svg "), "{}", chart.name);
            assert!(chart.svg.trim_end().ends_with("</svg>"));
            assert!(!chart.svg.contains("NaN"), "{}", chart.svg);
        }
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        let setup = Setup {
            workers: 2,
            scale: Scale::Full,
        };
        assert!(all(&Results::new(setup, 1)).is_empty());
    }
}
