//! The picture of the hand-over.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::Outcome;
use crate::handover::{Handovers, SIZES};

const WIDTH: u32 = 900;
const ROW: u32 = 44;
const ABOVE_AND_BELOW: u32 = 150;

/// A colour for each of the [`SIZES`], told apart in grey too.
const COLOURS: [RGBColor; 2] = [RGBColor(230, 159, 0), RGBColor(0, 90, 160)];

/// A row is so many units high, so that the sizes can stand one below the other in it.
const UNITS: i32 = 100;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A contender's figure with a number of processes, in the units of the picture.
struct Mark {
    y: i32,
    p50: f64,
    p99: f64,
    colour: RGBColor,
}

/// Draws the latencies in the relay as SVG: for each contender from p50 to p99.
pub(crate) fn draw(path: &Path, all: &[Handovers]) -> Outcome<()> {
    let mut names = Vec::new();
    let mut marks = Vec::new();
    for (size, processes) in (0..).zip(SIZES) {
        names.clear();
        let of_this_size = all.iter().filter(|one| one.processes == processes);
        for (row, one) in (0..).zip(of_this_size) {
            names.push(one.contender.name());
            if let (Some(p50), Some(p99)) = (one.relay(0.5), one.relay(0.99)) {
                marks.push(Mark {
                    y: row * UNITS + 33 + 34 * size,
                    p50,
                    p99,
                    colour: COLOURS[usize::try_from(size)?],
                });
            }
        }
    }
    let rows = u32::try_from(names.len())?;
    let area = SVGBackend::new(path, (WIDTH, ABOVE_AND_BELOW + ROW * rows)).into_drawing_area();
    area.fill(&WHITE)?;
    draw_chart(&area, &names, &marks)?;
    Ok(area.present()?)
}

fn draw_chart(area: &Area<'_>, names: &[&str], marks: &[Mark]) -> Outcome<()> {
    let slowest = marks.iter().map(|mark| mark.p99).fold(1e3, f64::max);
    let bottom = i32::try_from(names.len())? * UNITS;
    let mut chart = ChartBuilder::on(area)
        .caption(
            "Hand-over of a lock that each process holds for 1 ms (relay)",
            font(22),
        )
        .margin(14)
        .set_label_area_size(LabelAreaPosition::Left, 190)
        .set_label_area_size(LabelAreaPosition::Bottom, 50)
        .build_cartesian_2d((1.0..slowest * 10.0).log_scale(), bottom..0)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .y_labels(0)
        .light_line_style(WHITE)
        .bold_line_style(RGBColor(221, 221, 221))
        .x_label_formatter(&|&latency| time(latency))
        .x_label_style(font(14))
        .x_desc("from the release to the next acquisition: dot and figure p50, bar p99 (log scale)")
        .axis_desc_style(font(14))
        .draw()?;

    let right = font(14).pos(Pos::new(HPos::Right, VPos::Center));
    for (row, name) in (0..).zip(names) {
        let (x, y) = chart.backend_coord(&(1.0, row * UNITS + UNITS / 2));
        area.draw(&Text::new(*name, (x - 8, y), &right))?;
    }
    let left = font(12).pos(Pos::new(HPos::Left, VPos::Center));
    for &Mark {
        y,
        p50,
        p99,
        colour,
    } in marks
    {
        let line = colour.stroke_width(2);
        chart
            .plotting_area()
            .draw(&PathElement::new([(p50, y), (p99, y)], line))?;
        let bar = [(p99, y - 10), (p99, y + 10)];
        chart.plotting_area().draw(&PathElement::new(bar, line))?;
        chart
            .plotting_area()
            .draw(&Circle::new((p50, y), 5, colour.filled()))?;
        let (x, y) = chart.backend_coord(&(p99, y));
        area.draw(&Text::new(time(p50), (x + 8, y), &left))?;
    }
    for (size, processes) in SIZES.into_iter().enumerate() {
        chart
            .draw_series([] as [Circle<(f64, i32), i32>; 0])?
            .label(format!("{processes} processes"))
            .legend(move |at| Circle::new(at, 5, COLOURS[size].filled()));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .label_font(font(14))
        .background_style(WHITE)
        .border_style(RGBColor(170, 170, 170))
        .draw()?;
    Ok(())
}

fn font(size: i32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&BLACK)
}

/// Microseconds, for a reader.
fn time(microseconds: f64) -> String {
    let (figure, unit) = match microseconds {
        ..1e3 => (microseconds, "µs"),
        1e3..1e6 => (microseconds / 1e3, "ms"),
        _ => (microseconds / 1e6, "s"),
    };
    if figure < 10.0 && figure.fract() != 0.0 {
        format!("{figure:.1} {unit}")
    } else {
        format!("{figure:.0} {unit}")
    }
}
