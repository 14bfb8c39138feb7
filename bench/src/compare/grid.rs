//! A Markdown table that is put together column by column, for as many sides as there are.

use std::fmt;

/// Headings, and rows of as many cells.
#[derive(Clone, Debug, Default)]
pub(crate) struct Grid {
    headings: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Grid {
    /// A table with one row for each name, and the names as its first column.
    pub(crate) fn of<'a>(heading: &str, names: impl Iterator<Item = &'a str>) -> Self {
        let rows = names.map(|name| vec![name.to_owned()]).collect();
        Self { headings: vec![heading.to_owned()], rows }
    }

    /// Adds a column with its cells from top to bottom.
    pub(crate) fn column(
        &mut self,
        heading: impl Into<String>,
        cells: impl Iterator<Item = String>,
    ) {
        self.headings.push(heading.into());
        self.rows.iter_mut().zip(cells).for_each(|(row, cell)| row.push(cell));
    }
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| {} |", self.headings.join(" | "))?;
        let numbers = self.headings.len().saturating_sub(1);
        writeln!(f, "|---|{}", "---:|".repeat(numbers))?;
        self.rows.iter().try_for_each(|row| writeln!(f, "| {} |", row.join(" | ")))
    }
}

/// A number with so many digits after the point; a dash where there is none.
pub(crate) fn cell(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}

/// Two numbers that belong together.
pub(crate) fn pair([first, second]: [Option<f64>; 2], digits: usize) -> String {
    match (first, second) {
        (None, None) => "-".to_owned(),
        _ => format!("{} / {}", cell(first, digits), cell(second, digits)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_make_a_table() {
        let mut grid = Grid::of("scenario", ["x", "y"].into_iter());
        grid.column("A us", [cell(Some(1.236), 2), cell(None, 2)].into_iter());
        grid.column("both", [pair([Some(1.0), None], 0), pair([None, None], 0)].into_iter());
        let shown = "| scenario | A us | both |\n|---|---:|---:|\n| x | 1.24 | 1 / - |\n\
                     | y | - | - |\n";
        assert_eq!(grid.to_string(), shown);
    }
}
