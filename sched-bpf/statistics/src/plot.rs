// SPDX-License-Identifier: GPL-2.0

//! Plots as SVG.

use std::error::Error;

use anyhow::{anyhow, Result};
use plotters::prelude::*;

use crate::interval::Estimate;

/// Height of a row of ratios, in pixels.
const ROW: u32 = 28;

/// The largest ratio that is shown.
const EDGE: f64 = 3.0;

/// The colour of each series, and where in its row it stands, 0 to 1.
const SERIES: [(RGBColor, f64); 3] = [(RED, 0.7), (BLUE, 0.5), (BLACK, 0.3)];

/// A row of a plot of ratios.
pub struct Row<'a> {
    /// What stands beside it
    pub name: &'a str,
    /// A ratio of each series
    pub ratios: &'a [Estimate],
}

/// A plot of ratios with their intervals, a row for each name. `series` are the names of up
/// to 3 ratios of a row; that of a single one is not shown. Ratios beyond 3 are shown at the
/// edge.
pub fn ratios(title: &str, to: &str, series: &[&str], rows: &[Row]) -> Result<String> {
    draw_ratios(title, to, series, rows).map_err(|e| anyhow!("plot: {e}"))
}

fn draw_ratios(
    title: &str,
    to: &str,
    series: &[&str],
    rows: &[Row],
) -> Result<String, Box<dyn Error>> {
    let mut svg = String::new();
    {
        let height = 120 + ROW * rows.len() as u32;
        let area = SVGBackend::with_string(&mut svg, (860, height)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(title, ("sans-serif", 18))
            .margin(10)
            .x_label_area_size(30)
            .y_label_area_size(180)
            .build_cartesian_2d(0.0..EDGE, 0.0..rows.len() as f64)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .y_labels(0)
            .x_desc(format!("ratio to {to}"))
            .draw()?;
        chart.draw_series([PathElement::new(
            [(1.0, 0.0), (1.0, rows.len() as f64)],
            BLACK.mix(0.5),
        )])?;

        for (number, (name, (colour, at))) in series.iter().zip(SERIES).enumerate() {
            let at = if series.len() == 1 { 0.5 } else { at };
            let marks = rows.iter().enumerate().flat_map(|(i, row)| {
                let y = (rows.len() - 1 - i) as f64 + at;
                let e = row.ratios[number].map(|ratio| ratio.clamp(0.0, EDGE));
                [
                    PathElement::new([(e.low, y), (e.high, y)], colour.stroke_width(2)).into_dyn(),
                    Circle::new((e.value, y), 3, colour.filled()).into_dyn(),
                ]
            });
            let drawn = chart.draw_series(marks)?;
            if series.len() > 1 {
                drawn
                    .label(*name)
                    .legend(move |(x, y)| Circle::new((x + 8, y), 4, colour.filled()));
            }
        }
        for (i, row) in rows.iter().enumerate() {
            let y = chart
                .backend_coord(&(0.0, (rows.len() - 1 - i) as f64 + 0.65))
                .1;
            area.draw_text(
                row.name,
                &("sans-serif", 13).into_text_style(&area),
                (12, y),
            )?;
        }
        if series.len() > 1 {
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::LowerRight)
                .background_style(WHITE.mix(0.8))
                .border_style(BLACK)
                .draw()?;
        }
        area.present()?;
    }
    Ok(svg)
}

/// A plot of values over time: `points` are pairs of seconds and a value, of up to 3 series
/// with their names.
pub fn windows(title: &str, unit: &str, series: &[(&str, Vec<(f64, f64)>)]) -> Result<String> {
    draw_windows(title, unit, series).map_err(|e| anyhow!("plot: {e}"))
}

fn draw_windows(
    title: &str,
    unit: &str,
    series: &[(&str, Vec<(f64, f64)>)],
) -> Result<String, Box<dyn Error>> {
    let points = || series.iter().flat_map(|(_, points)| points);
    let largest = |of: fn(&(f64, f64)) -> f64| {
        // An axis needs some length.
        points().map(of).fold(f64::MIN_POSITIVE, f64::max) * 1.05
    };
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (860, 260)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(title, ("sans-serif", 18))
            .margin(10)
            .x_label_area_size(35)
            .y_label_area_size(80)
            .build_cartesian_2d(0.0..largest(|p| p.0), 0.0..largest(|p| p.1))?;
        chart
            .configure_mesh()
            .x_desc("seconds")
            .y_desc(unit)
            .draw()?;
        for ((name, points), (colour, _)) in series.iter().zip(SERIES) {
            let marks = points.iter().map(|at| Circle::new(*at, 4, colour.filled()));
            chart
                .draw_series(marks)?
                .label(*name)
                .legend(move |(x, y)| Circle::new((x + 8, y), 4, colour.filled()));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK)
            .draw()?;
        area.present()?;
    }
    Ok(svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_each_row_and_series() {
        let e = Estimate {
            value: 1.0,
            low: f64::NEG_INFINITY,
            high: 9.0,
        };
        let all = [e; 3];
        let rows = ["one", "two"].map(|name| Row { name, ratios: &all });
        let svg = ratios("t", "stock", &["a", "b", "first"], &rows).unwrap();

        assert!(svg.contains("one") && svg.contains("two") && svg.contains("first"));
        assert!(svg.trim_end().ends_with("</svg>"));
    }

    #[test]
    fn windows_of_two() {
        let series = [("A", vec![(1.0, 2.0)]), ("B", Vec::new())];
        let svg = windows("t", "us", &series).unwrap();
        assert!(svg.contains("seconds") && svg.contains("us"));
    }
}
