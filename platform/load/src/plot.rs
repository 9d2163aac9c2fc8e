//! Plots for reports, as SVG text that stands in a page: figures that people compare are seen
//! before they are read.

use std::ops::Range;

use plotters::{
    chart::ChartContext,
    coord::{Shift, types::RangedCoordf64},
    prelude::*,
};

/// Readable on light and dark ground, and for most of those who see colours differently
/// (Okabe and Ito's palette, without its yellow and black).
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
];
const INK: RGBColor = RGBColor(128, 128, 128);
const SIZE: (u32, u32) = (860, 320);
/// The height of a name in the legend, as a part of the plot's.
const LEGEND_LINE: f64 = 0.1;

/// One line of a plot.
#[derive(Clone, Debug)]
pub struct Series {
    /// In the legend.
    pub name: String,
    /// x and y, in the order of x.
    pub points: Vec<(f64, f64)>,
}

impl Series {
    /// A line with this name.
    #[must_use]
    pub fn new(name: &str, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Self { name: name.to_owned(), points: points.into_iter().collect() }
    }

    /// The same as steps: each value holds until the next begins.
    #[must_use]
    pub fn stepped(mut self) -> Self {
        let steps: Vec<_> = self
            .points
            .windows(2)
            .flat_map(|pair| [pair[0], (pair[1].0, pair[0].1)])
            .chain(self.points.last().copied())
            .collect();
        self.points = steps;
        self
    }
}

/// A time that is marked, from and to in units of x.
#[derive(Clone, Debug)]
pub struct Phase {
    /// Written at its begin.
    pub name: String,
    /// From and to.
    pub span: Range<f64>,
}

/// What a plot shows.
#[derive(Clone, Debug)]
pub struct Plot {
    /// Above it.
    pub title: String,
    /// What x is, with its unit.
    pub x: String,
    /// What y is, with its unit.
    pub y: String,
    /// Whether y is logarithmic: for latencies that differ by powers of ten. Points at 0, which has
    /// no logarithm, are left out.
    pub log: bool,
    /// The lines.
    pub series: Vec<Series>,
    /// Shaded behind them.
    pub phases: Vec<Phase>,
}

impl Plot {
    /// A plot over seconds.
    #[must_use]
    pub fn over_time(title: &str, y: &str, series: Vec<Series>) -> Self {
        Self {
            title: title.to_owned(),
            x: "time (s)".to_owned(),
            y: y.to_owned(),
            log: false,
            series,
            phases: Vec::new(),
        }
    }

    /// With y as powers of ten.
    #[must_use]
    pub fn logarithmic(mut self) -> Self {
        self.log = true;
        self
    }

    /// With these times marked.
    #[must_use]
    pub fn marked(mut self, phases: Vec<Phase>) -> Self {
        self.phases = phases;
        self
    }

    /// The plot as an `<svg>` element; empty where there is nothing to show.
    #[must_use]
    pub fn svg(&self) -> String {
        let (least, most) = self
            .points()
            .fold((f64::MAX, f64::MIN), |(least, most), (x, _)| (least.min(*x), most.max(*x)));
        // Some ten marks: as many digits as make each of them another one.
        let digits = if most - least < 1.0 { 2 } else { usize::from(most - least < 10.0) };
        self.drawn(&|x| format!("{x:.digits$}"))
    }

    fn drawn(&self, x_label: &dyn Fn(&f64) -> String) -> String {
        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
            // Drawing into a string does not fail; a plot that did would be missing, not wrong.
            let _ = self.draw(&area, x_label);
        }
        svg
    }

    fn points(&self) -> impl Iterator<Item = &(f64, f64)> {
        self.series.iter().flat_map(|series| &series.points)
    }

    fn draw(
        &self,
        area: &DrawingArea<SVGBackend<'_>, Shift>,
        x_label: &dyn Fn(&f64) -> String,
    ) -> Result<(), Box<dyn std::error::Error>> {
        if self.points().next().is_none() {
            return Ok(());
        }
        let max = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::MIN, f64::max);
        let min = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::MAX, f64::min);
        let xs = min(&mut self.points().map(|p| p.0))..max(&mut self.points().map(|p| p.0));
        let xs = xs.start..xs.end.max(xs.start + 1e-9);
        let top = max(&mut self.points().map(|p| p.1)) * 1.05;
        let mut chart = ChartBuilder::on(area);
        let title = self.title.as_str();
        chart
            .caption(title, ("sans-serif", 16).into_font().color(&INK))
            .margin(8)
            .x_label_area_size(36)
            .y_label_area_size(64);
        if self.log {
            let low = min(&mut self.points().map(|p| p.1).filter(|y| *y > 0.0));
            let low = if low < f64::MAX { low * 0.8 } else { 0.1 };
            let ys = (low..top.max(low * 10.0)).log_scale();
            let mut chart = chart.build_cartesian_2d(xs, ys)?;
            self.lines(&mut chart, x_label, low, top.max(low * 10.0))
        } else {
            // Room for the legend above the lines.
            let top = top.max(1e-9) * (1.0 + LEGEND_LINE * self.series.len().min(6) as f64);
            let mut chart = chart.build_cartesian_2d(xs, 0.0..top)?;
            self.lines(&mut chart, x_label, 0.0, top)
        }
    }

    fn lines<'a, Y>(
        &self,
        chart: &mut ChartContext<'a, SVGBackend<'a>, Cartesian2d<RangedCoordf64, Y>>,
        x_label: &dyn Fn(&f64) -> String,
        low: f64,
        top: f64,
    ) -> Result<(), Box<dyn std::error::Error>>
    where
        Y: Ranged<ValueType = f64> + plotters::coord::ranged1d::ValueFormatter<f64>,
    {
        for phase in &self.phases {
            let area = [(phase.span.start, low), (phase.span.end, top)];
            chart.draw_series([Rectangle::new(area, INK.mix(0.12).filled())])?;
            let style = ("sans-serif", 12).into_font().color(&INK);
            chart.draw_series([Text::new(
                phase.name.clone(),
                (phase.span.start, top * 0.98),
                style,
            )])?;
        }
        let label = ("sans-serif", 12).into_font().color(&INK);
        chart
            .configure_mesh()
            .axis_style(INK)
            .bold_line_style(INK.mix(0.25))
            .light_line_style(TRANSPARENT)
            .label_style(label.clone())
            .axis_desc_style(label.clone())
            .x_desc(&self.x)
            .y_desc(&self.y)
            .x_label_formatter(x_label)
            .y_label_formatter(&|y| number(*y))
            .draw()?;
        for (series, colour) in self.series.iter().zip(COLOURS.iter().cycle()) {
            let points = series.points.iter().copied().filter(|(_, y)| !self.log || *y > 0.0);
            let line = LineSeries::new(points, colour.stroke_width(2));
            let colour = *colour;
            chart.draw_series(line)?.label(&series.name).legend(move |(x, y)| {
                PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2))
            });
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .label_font(label)
            .draw()?;
        Ok(())
    }
}

/// Latency by percentile, where each nine is as wide as the one before: the tail is what matters.
#[must_use]
pub fn percentiles(title: &str, latencies: &[(&str, &hdrhistogram::Histogram<u64>)]) -> String {
    let curve = |histogram: &hdrhistogram::Histogram<u64>| {
        let deepest = (histogram.len().max(2) as f64).log10();
        let steps = 120;
        let at = move |step: i32| deepest * f64::from(step) / f64::from(steps);
        let points: Vec<_> = (0..=steps)
            .map(|step| {
                let quantile = 1.0 - 10f64.powf(-at(step));
                (at(step), histogram.value_at_quantile(quantile) as f64 / 1000.0)
            })
            .collect();
        points
    };
    let series = latencies.iter().map(|(name, histogram)| Series::new(name, curve(histogram)));
    let plot = Plot {
        title: title.to_owned(),
        x: "percentile".to_owned(),
        y: "latency (ms)".to_owned(),
        log: true,
        series: series.filter(|series| !series.points.is_empty()).collect(),
        phases: Vec::new(),
    };
    plot.drawn(&|nines| percentile(*nines))
}

/// 0, 90, 99, 99.9 and so on. Those between have no short name that is true, and none is given.
fn percentile(nines: f64) -> String {
    if (nines - nines.round()).abs() > 0.01 {
        return String::new();
    }
    let percent = 100.0 * (1.0 - 10f64.powf(-nines));
    format!("{percent:.*}", (nines.round() as usize).saturating_sub(2))
}

fn number(value: f64) -> String {
    match value {
        value if value >= 10_000.0 => format!("{:.0}k", value / 1000.0),
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 1.0 || value == 0.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_has_its_lines_names_and_phases() {
        let plot = Plot::over_time(
            "Connections",
            "connections",
            vec![
                Series::new("measures on", [(0.0, 4.0), (1.0, 5.0)]).stepped(),
                Series::new("measures off", [(0.0, 40.0), (1.0, 400.0)]),
            ],
        );
        let slow = Phase { name: "slow".into(), span: 0.5..1.0 };
        for plot in [plot.clone().marked(vec![slow.clone()]), plot.logarithmic().marked(vec![slow])]
        {
            let svg = plot.svg();
            assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
            for text in ["Connections", "measures on", "measures off", "time (s)", "slow"] {
                assert!(svg.contains(text), "{text}");
            }
            assert!(svg.matches("<polyline").count() >= 2);
        }
    }

    #[test]
    fn each_mark_of_a_short_time_has_another_label() {
        let line = Series::new("a", (0..6).map(|second| (f64::from(second), 1.0)));
        let svg = Plot::over_time("Short", "x", vec![line]).svg();
        for label in ["0.5", "1.5", "4.5"] {
            assert!(svg.contains(&format!(">\n{label}\n<")), "{label}: {svg}");
        }
    }

    #[test]
    fn nothing_to_show_is_an_empty_plot() {
        let svg = Plot::over_time("Nothing", "x", Vec::new()).svg();
        assert!(!svg.contains("polyline"));
    }

    #[test]
    fn where_there_was_nothing_a_logarithmic_line_has_no_point() {
        let points = [(0.0, 4.0), (1.0, 0.0), (2.0, 5.0), (3.0, 6.0)];
        let line = |points| Plot::over_time("", "", vec![Series::new("a", points)]).logarithmic();
        let plot = line(points.to_vec()).svg();
        let without = line([points[0], points[2], points[3]].to_vec()).svg();
        assert_eq!(plot, without);
    }

    #[test]
    fn percentiles_reach_as_far_as_there_are_requests() {
        let mut latency = hdrhistogram::Histogram::new(3).unwrap();
        for micros in 1..=10_000 {
            latency.record(micros).unwrap();
        }
        let labels = [0.0, 0.5, 1.0, 2.0, 2.5, 3.0, 4.0].map(percentile);
        assert_eq!(labels, ["0", "", "90", "99", "", "99.9", "99.99"]);
        let svg = percentiles("Latency", &[("all", &latency)]);
        assert!(svg.contains("99.9") && svg.contains("percentile"), "{svg}");
        assert!(!svg.contains(">\n68\n<") && !svg.contains(">\n97\n<"), "{svg}");
    }
}
