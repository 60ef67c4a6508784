//! A comparison as a picture: bars, or lines where the rows are in order.

use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::{
    BLACK, Cartesian2d, ChartBuilder, ChartContext, Circle, Color, DrawingArea, IntoDrawingArea, IntoLogRange,
    LineSeries, Palette, Palette99, PathElement, Rectangle, SVGBackend, SeriesLabelPosition, WHITE,
};

use super::row::{Comparison, Row};
use super::unit::Unit;
use crate::Fault;

/// An SVG, if there is anything to be drawn.
pub(crate) fn svg(comparison: &Comparison) -> Result<Option<String>, Fault> {
    let values = || comparison.rows.iter().flat_map(|row| &row.figures).map(|figure| figure.median);
    let (least, most) = values().fold((f64::INFINITY, 0.0), |(least, most), value| (value.min(least), value.max(most)));
    // Without figures there is nothing to draw, and what is not above 0 has no logarithm.
    if !(least > 0.0 && least.is_finite() && most.is_finite()) {
        return Ok(None);
    }
    let slots = Slots { rows: comparison.rows.len() as i32, contestants: comparison.contestants.len() as i32 };
    let mut svg = String::new();
    {
        let height = if comparison.over.is_some() { 420 } else { 90 + 10 * slots.all() as u32 };
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        area.fill(&WHITE)?;
        match comparison.over {
            None => bars(comparison, slots, most, &area)?,
            Some(over) if comparison.unit == Unit::GbPerSecond => lines(comparison, over, 0.0..most * 1.1, &area)?,
            Some(over) => lines(comparison, over, (least / 2.0..most * 2.0).log_scale(), &area)?,
        }
        area.present()?;
    }
    Ok(Some(svg))
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The axis of rows has whole numbers: two for each contestant in each row, and two between rows.
#[derive(Clone, Copy)]
struct Slots {
    rows: i32,
    contestants: i32,
}

impl Slots {
    fn all(self) -> i32 {
        self.rows * (2 * self.contestants + 2)
    }

    /// The lower end of a bar. The first row is on top.
    fn bar(self, row: usize, contestant: usize) -> i32 {
        self.all() - (row as i32) * (2 * self.contestants + 2) - 2 * contestant as i32 - 3
    }

    /// The row that has its middle here.
    fn row(self, at: i32) -> Option<usize> {
        let each = 2 * self.contestants + 2;
        let below_top = self.all() - at - (self.contestants + 1);
        (below_top >= 0 && below_top % each == 0).then_some((below_top / each) as usize)
    }
}

fn bars(comparison: &Comparison, slots: Slots, most: f64, area: &Area<'_>) -> Result<(), Fault> {
    let mut builder = builder(comparison, area);
    let mut chart = builder.y_label_area_size(210).build_cartesian_2d(0.0..most * 1.1, 0..slots.all())?;
    let name = |at: &i32| slots.row(*at).and_then(|row| Some(comparison.rows.get(row)?.what.clone()));
    let name = |at: &i32| name(at).unwrap_or_default();
    let mut mesh = chart.configure_mesh();
    mesh.disable_y_mesh().y_labels(slots.all() as usize + 1).y_label_formatter(&name).y_desc("");
    mesh.label_style((FONT, 12)).x_desc(comparison.unit.symbol()).draw()?;
    for (number, &who) in comparison.contestants.iter().enumerate() {
        let values = comparison.rows.iter().enumerate().filter_map(|(row, figures)| Some((row, figures.of(who)?)));
        let bar = |(row, value)| {
            let from = slots.bar(row, number);
            Rectangle::new([(0.0, from), (value, from + 2)], Palette99::pick(number).filled())
        };
        let series = chart.draw_series(values.map(bar))?;
        series
            .label(who)
            .legend(move |(x, y)| Rectangle::new([(x, y - 4), (x + 12, y + 4)], Palette99::pick(number).filled()));
    }
    legend(&mut chart, SeriesLabelPosition::LowerRight)
}

fn lines<Y>(comparison: &Comparison, over: &str, y: Y, area: &Area<'_>) -> Result<(), Fault>
where
    Y: AsRangedCoord<Value = f64>,
    Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    // Each row has its place at an odd number; what they have different grows by factors.
    let last = 2 * comparison.rows.len() as i32;
    let mut builder = builder(comparison, area);
    let mut chart = builder.y_label_area_size(60).build_cartesian_2d(0..last, y)?;
    let place = |at: &i32| (at % 2 == 1).then(|| comparison.rows.get((at / 2) as usize)?.at).flatten();
    let place = |at: &i32| place(at).map(|at| at.to_string()).unwrap_or_default();
    let mut mesh = chart.configure_mesh();
    mesh.disable_x_mesh().x_labels(last as usize + 1).x_label_formatter(&place);
    mesh.label_style((FONT, 12)).x_desc(over).y_desc(comparison.unit.symbol()).draw()?;
    for (number, &who) in comparison.contestants.iter().enumerate() {
        let point = |(row, figures): (usize, &Row)| Some((2 * row as i32 + 1, figures.of(who)?));
        let points: Vec<_> = comparison.rows.iter().enumerate().filter_map(point).collect();
        let color = Palette99::pick(number);
        let series = chart.draw_series(LineSeries::new(points.clone(), color.stroke_width(2)))?;
        series.label(who).legend(move |(x, y)| PathElement::new([(x, y), (x + 12, y)], Palette99::pick(number)));
        chart.draw_series(points.into_iter().map(|point| Circle::new(point, 3, color.filled())))?;
    }
    legend(&mut chart, SeriesLabelPosition::UpperLeft)
}

fn builder<'a, 'b, 'c>(comparison: &Comparison, area: &'a Area<'b>) -> ChartBuilder<'a, 'c, SVGBackend<'b>> {
    let mut builder = ChartBuilder::on(area);
    builder.caption(format!("{}: {}", comparison.name, comparison.what), (FONT, 15));
    builder.margin(10).x_label_area_size(40);
    builder
}

fn legend<'b, X, Y>(
    chart: &mut ChartContext<'b, SVGBackend<'b>, Cartesian2d<X, Y>>,
    position: SeriesLabelPosition,
) -> Result<(), Fault>
where
    X: Ranged,
    Y: Ranged,
{
    let mut labels = chart.configure_series_labels();
    Ok(labels.position(position).label_font((FONT, 12)).background_style(WHITE.mix(0.8)).border_style(BLACK).draw()?)
}

const WIDTH: u32 = 900;
const FONT: &str = "sans-serif";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contestants::{DCP, TORCH};
    use crate::report::Figure;

    fn comparison(unit: Unit) -> Comparison {
        let mut comparison = Comparison::new("load", "some bytes", unit, &[DCP, TORCH]);
        for (number, ranks) in [1.0, 8.0].into_iter().enumerate() {
            let mut figures = vec![Figure::once(DCP, 10.0 * ranks)];
            // One of them takes part only once.
            figures.extend((number == 0).then(|| Figure::once(TORCH, 1.0)));
            comparison.push(Row::new(format!("{ranks} ranks"), figures).at(ranks), &[]);
        }
        comparison
    }

    #[test]
    fn there_is_a_bar_for_each_figure() -> Result<(), Fault> {
        let svg = svg(&comparison(Unit::Seconds))?.ok_or("no plot")?;
        let bars = |number| svg.matches(&format!("fill=\"{}\"", color(number))).count();
        // One more in the legend.
        assert_eq!((bars(0), bars(1)), (3, 2));
        for word in ["1 ranks", "8 ranks", "dcp", "PyTorch", "load: some bytes"] {
            assert!(svg.contains(word), "{word}");
        }
        Ok(())
    }

    #[test]
    fn there_is_a_point_for_each_figure_of_a_line() -> Result<(), Fault> {
        for unit in [Unit::GbPerSecond, Unit::Megabytes] {
            let svg = svg(&comparison(unit).over("ranks"))?.ok_or("no plot")?;
            assert_eq!(svg.matches("<circle").count(), 3, "{unit:?}");
        }
        Ok(())
    }

    #[test]
    fn without_figures_there_is_no_plot() -> Result<(), Fault> {
        assert_eq!(svg(&Comparison::new("save", "nothing", Unit::Seconds, &[DCP]))?, None);
        Ok(())
    }

    fn color(number: usize) -> String {
        let (red, green, blue) = Palette99::pick(number).to_rgba().rgb();
        format!("#{red:02X}{green:02X}{blue:02X}")
    }
}
