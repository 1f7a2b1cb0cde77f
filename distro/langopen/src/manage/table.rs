//! Prints tables.

/// Prints rows in aligned columns; without rows, the text `nothing`.
pub(super) fn print<const N: usize>(head: [&str; N], rows: &[[String; N]], nothing: &str) {
    if rows.is_empty() {
        println!("{nothing}");
        return;
    }
    let head = head.map(str::to_owned);
    let all = || std::iter::once(&head).chain(rows);
    let widths: Vec<_> = (0..N).map(|at| all().map(|row| row[at].chars().count()).max().unwrap_or_default()).collect();
    for row in all() {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}", width = *width));
        println!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}
