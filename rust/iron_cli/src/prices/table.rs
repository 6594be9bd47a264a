//! A table of names and figures that fits 80 columns.

use std::fmt::Write as _;

/// What a line may hold: a name that leaves no room for its figures stands on a line of its own.
const COLUMNS: usize = 80;

pub(super) struct Table<const FIGURES: usize> {
    rows: Vec<(String, Vec<String>)>,
}

impl<const FIGURES: usize> Table<FIGURES> {
    /// With these headings, the first of them the names'.
    pub(super) fn new(headings: [&str; FIGURES]) -> Self {
        let [name, figures @ ..] = &headings[..] else { return Self { rows: Vec::new() } };
        Self { rows: vec![((*name).to_owned(), figures.iter().map(|text| (*text).to_owned()).collect())] }
    }

    pub(super) fn row(&mut self, name: &str, figures: impl IntoIterator<Item = String>) {
        self.rows.push((name.to_owned(), figures.into_iter().collect()));
    }

    /// Names to the left, figures to the right.
    pub(super) fn text(&self) -> String {
        let widths: Vec<_> = (0..FIGURES)
            .map(|column| {
                self.rows.iter().filter_map(|(_, figures)| figures.get(column)).map(String::len).max()
            })
            .map(|width| width.unwrap_or(0))
            .collect();
        let room = COLUMNS.saturating_sub(widths.iter().map(|width| width + 2).sum());
        let names = self.rows.iter().map(|(name, _)| name.len());
        let wide = names.filter(|length| *length <= room).max().unwrap_or(0);
        let mut text = String::new();
        for (name, figures) in &self.rows {
            let mut line = format!("{name:wide$}");
            if name.len() > wide {
                text.push_str(&line);
                text.push('\n');
                line = " ".repeat(wide);
            }
            for (figure, width) in figures.iter().zip(&widths) {
                // Writing to a text cannot fail.
                let _ = write!(line, "  {figure:>width$}");
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_stand_under_each_other_and_long_names_alone() {
        let mut table = Table::new(["model", "input"]);
        table.row("openai/x", ["0.25".to_owned()]);
        let long = "y".repeat(74);
        table.row(&long, ["12.00".to_owned()]);
        assert_eq!(table.text(), format!("model     input\nopenai/x   0.25\n{long}\n          12.00\n"));
    }
}
