//! Tables as the second rabbitmqadmin draws them, in its styles, and as plain columns for scripts.
//!
//! A room of `admin::v2`. Pure.

/// How a table is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Modern,
    Sharp,
    Ascii,
    Dots,
    Psql,
    Markdown,
    Borderless,
    /// No header, no lines: for scripts.
    Plain,
}

/// What one is drawn with: a line is its left end, what it is made of, what is between columns, its right end.
struct Parts {
    top: Option<[&'static str; 4]>,
    beneath_header: Option<[&'static str; 4]>,
    between_rows: Option<[&'static str; 4]>,
    bottom: Option<[&'static str; 4]>,
    /// Left of a row, between its cells, right of it.
    row: [&'static str; 3],
}

impl Style {
    pub(super) const NAMES: [&'static str; 7] =
        ["modern", "borderless", "markdown", "sharp", "ascii", "psql", "dots"];

    pub(super) fn parse(name: &str) -> Self {
        match name {
            "borderless" => Self::Borderless,
            "markdown" => Self::Markdown,
            "sharp" => Self::Sharp,
            "ascii" => Self::Ascii,
            "psql" => Self::Psql,
            "dots" => Self::Dots,
            _ => Self::Modern,
        }
    }

    const fn parts(self) -> Parts {
        const NOTHING: Parts = Parts {
            top: None,
            beneath_header: None,
            between_rows: None,
            bottom: None,
            row: ["", " ", ""],
        };
        match self {
            Self::Modern => Parts {
                top: Some(["╭", "─", "┬", "╮"]),
                beneath_header: Some(["├", "─", "┼", "┤"]),
                between_rows: None,
                bottom: Some(["╰", "─", "┴", "╯"]),
                row: ["│", "│", "│"],
            },
            Self::Sharp => Parts {
                top: Some(["┌", "─", "┬", "┐"]),
                beneath_header: Some(["├", "─", "┼", "┤"]),
                between_rows: None,
                bottom: Some(["└", "─", "┴", "┘"]),
                row: ["│", "│", "│"],
            },
            Self::Ascii => {
                let line = Some(["+", "-", "+", "+"]);
                let row = ["|", "|", "|"];
                Parts { top: line, beneath_header: line, between_rows: line, bottom: line, row }
            }
            Self::Dots => {
                let line = Some([":", ".", ":", ":"]);
                Parts {
                    top: Some([".", ".", ".", "."]),
                    beneath_header: line,
                    between_rows: line,
                    bottom: line,
                    row: [":", ":", ":"],
                }
            }
            Self::Psql => {
                Parts { beneath_header: Some(["", "-", "+", ""]), row: ["", "|", ""], ..NOTHING }
            }
            Self::Markdown => Parts {
                beneath_header: Some(["|", "-", "|", "|"]),
                row: ["|", "|", "|"],
                ..NOTHING
            },
            Self::Borderless | Self::Plain => NOTHING,
        }
    }
}

/// Draws a table. Cells may have several lines.
pub(super) fn drawn(columns: &[String], rows: &[Vec<String>], style: Style) -> String {
    if style == Style::Plain {
        return plain(rows);
    }
    let widths = widths(columns, rows);
    let parts = style.parts();
    let rule = |[left, dash, between, right]: [&str; 4]| {
        let dashes: Vec<_> = widths.iter().map(|width| dash.repeat(width + 2)).collect();
        format!("{left}{}{right}", dashes.join(between))
    };
    let mut lines = Vec::new();
    lines.extend(parts.top.map(rule));
    lines.extend(row(columns, &widths, parts.row));
    lines.extend(parts.beneath_header.map(rule));
    for (at, cells) in rows.iter().enumerate() {
        if at > 0 {
            lines.extend(parts.between_rows.map(rule));
        }
        lines.extend(row(cells, &widths, parts.row));
    }
    // Without a row the header's line is the last.
    lines.extend(parts.bottom.filter(|_| !rows.is_empty()).map(rule));
    lines.join("\n")
}

fn widths(columns: &[String], rows: &[Vec<String>]) -> Vec<usize> {
    let length = |text: &str| text.split('\n').map(|line| line.chars().count()).max();
    let mut widths: Vec<usize> =
        columns.iter().map(|name| length(name).unwrap_or_default()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(length(cell).unwrap_or_default());
        }
    }
    widths
}

/// The lines of a row.
fn row(cells: &[String], widths: &[usize], [left, between, right]: [&str; 3]) -> Vec<String> {
    let height = cells.iter().map(|cell| cell.split('\n').count()).max().unwrap_or(1);
    let line = |at: usize| {
        let cells = cells.iter().zip(widths).map(|(cell, width)| {
            let part = cell.split('\n').nth(at).unwrap_or_default();
            format!(" {part:<width$} ")
        });
        format!("{left}{}{right}", cells.collect::<Vec<_>>().join(between))
    };
    (0..height).map(line).collect()
}

fn plain(rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| cell.replace('\n', ",")).collect()).collect();
    let widths = widths(&vec![String::new(); rows.first().map_or(0, Vec::len)], &rows);
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$} "));
        cells.collect::<Vec<_>>().join(" ")
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(style: Style) -> String {
        let columns = ["name", "arguments"].map(str::to_owned);
        let rows = [["q", "a: 1\nb: 2"], ["longer", ""]];
        drawn(&columns, &rows.map(|row| row.map(str::to_owned).to_vec()), style)
    }

    /// As rabbitmqadmin 2.29 draws them.
    #[test]
    fn tables_are_drawn_in_every_style() {
        let modern = "╭────────┬───────────╮\n\
                      │ name   │ arguments │\n\
                      ├────────┼───────────┤\n\
                      │ q      │ a: 1      │\n\
                      │        │ b: 2      │\n\
                      │ longer │           │\n\
                      ╰────────┴───────────╯";
        assert_eq!(table(Style::Modern), modern);
        let psql = " name   | arguments \n--------+-----------\n q      | a: 1      \n        | b: 2      \n longer |           ";
        assert_eq!(table(Style::Psql), psql);
        assert_eq!(table(Style::Plain), "q       a: 1,b: 2 \nlonger            ");
        assert!(table(Style::Borderless).starts_with(" name     arguments \n"));
        assert_eq!(table(Style::Ascii).lines().filter(|line| line.starts_with("+--")).count(), 4);
        assert!(table(Style::Markdown).starts_with("| name   | arguments |\n|--------|"));
        assert!(table(Style::Dots).starts_with("......................\n: name   :"));
        let empty = drawn(&["a".to_owned()], &[], Style::Modern);
        assert_eq!(empty, "╭───╮\n│ a │\n├───┤");
    }
}
