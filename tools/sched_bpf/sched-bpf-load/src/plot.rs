// SPDX-License-Identifier: GPL-2.0

//! A plot of what was compared: ratios to stock with their intervals.

use anyhow::{anyhow, Result};
use plotters::prelude::*;

use crate::cli::Load;
use crate::results::Compared;

/// Height of the row of a setting, in pixels.
const ROW: u32 = 28;

/// The colour of each goal, and where in its row it stands, 0 to 1.
const SERIES: [(RGBColor, f64); 3] = [(RED, 0.7), (BLUE, 0.5), (BLACK, 0.3)];

/// The plot as SVG. Ratios beyond the edge are shown at it.
pub fn plot(load: Load, compared: &[Compared]) -> Result<String> {
    let names: Vec<&str> = load.goals().iter().map(|g| g.column.0).collect();

    draw(load.name(), &names, compared).map_err(|e| anyhow!("plot: {e}"))
}

fn draw(
    load: &str,
    names: &[&str],
    compared: &[Compared],
) -> Result<String, Box<dyn std::error::Error>> {
    const EDGE: f64 = 3.0;
    let rows = compared.len();
    let mut svg = String::new();
    {
        let area =
            SVGBackend::with_string(&mut svg, (860, 120 + ROW * rows as u32)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(
                format!("{load}: ratios to stock, 95 % intervals"),
                ("sans-serif", 18),
            )
            .margin(10)
            .x_label_area_size(30)
            .y_label_area_size(180)
            .build_cartesian_2d(0.0..EDGE, 0.0..rows as f64)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .y_labels(0)
            .x_desc("ratio to stock")
            .draw()?;
        chart.draw_series([PathElement::new(
            [(1.0, 0.0), (1.0, rows as f64)],
            BLACK.mix(0.5),
        )])?;

        for (goal, (name, (colour, at))) in names.iter().zip(SERIES).enumerate() {
            let marks = compared.iter().enumerate().flat_map(|(i, c)| {
                let y = (rows - 1 - i) as f64 + at;
                let e = c.ratios[goal];
                let (low, value, high) = (e.low.min(EDGE), e.value.min(EDGE), e.high.min(EDGE));
                [
                    PathElement::new([(low, y), (high, y)], colour.stroke_width(2)).into_dyn(),
                    Circle::new((value, y), 3, colour.filled()).into_dyn(),
                ]
            });
            chart
                .draw_series(marks)?
                .label(*name)
                .legend(move |(x, y)| Circle::new((x + 8, y), 4, colour.filled()));
        }
        for (i, c) in compared.iter().enumerate() {
            let y = chart.backend_coord(&(0.0, (rows - 1 - i) as f64 + 0.65)).1;
            area.draw_text(c.name, &("sans-serif", 13).into_text_style(&area), (12, y))?;
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
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
    use crate::setting::Kind;
    use crate::stats::Estimate;

    #[test]
    fn has_each_setting() {
        let e = Estimate {
            value: 1.0,
            low: 0.9,
            high: 9.0,
        };
        let compared = ["one", "two"].map(|name| Compared {
            name,
            kind: Kind::Static,
            ratios: vec![e; 3],
            to_best: e,
        });
        let svg = draw("l", &["a", "b", "c"], &compared).unwrap();

        assert!(svg.contains("one") && svg.contains("two"));
        assert!(svg.trim_end().ends_with("</svg>"));
    }
}
