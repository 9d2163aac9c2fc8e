//! What is wrong with a `system.toml`, and what would be right.

use std::{fmt, path::PathBuf};

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// From 1.
    pub line: usize,
    /// The dotted key, with its value as written where there is one.
    pub seen: String,
    /// What would be right.
    pub remedy: String,
}

/// All mistakes of one file, in its order.
#[derive(Debug, PartialEq, Eq)]
pub struct Mistakes {
    pub file: PathBuf,
    pub list: Vec<Mistake>,
}

impl std::error::Error for Mistakes {}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.file.file_name().unwrap_or(self.file.as_os_str()).display();
        match self.list.len() {
            1 => write!(f, "one mistake in '{}':", self.file.display())?,
            n => write!(f, "{n} mistakes in '{}':", self.file.display())?,
        }
        for Mistake { line, seen, remedy } in &self.list {
            write!(f, "\n  {name}:{line}: {seen}: {remedy}")?;
        }
        Ok(())
    }
}

/// The known name that was probably meant: at most two letters wrong, and fewer than half.
pub fn nearest<'a>(seen: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|name| (distance(seen, name), name))
        .filter(|(distance, name)| *distance <= 2 && distance * 2 < name.len().max(2))
        .min()
        .map(|(_, name)| name)
}

/// Edits from one word to the other: insert, remove, replace, or swap two neighbours
/// (Damerau and Levenshtein, restricted form).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_the_one_probably_meant() {
        let known = ["instances", "public", "run", "env"];
        assert_eq!(nearest("instnaces", known), Some("instances"));
        assert_eq!(nearest("pubic", known), Some("public"));
        assert_eq!(nearest("rnu", known), Some("run"));
        assert_eq!(nearest("replicas", known), None);
        assert_eq!(nearest("x", known), None);
    }
}
