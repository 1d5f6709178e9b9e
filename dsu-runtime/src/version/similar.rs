//! "Did you mean": the nearest of some names.

/// The candidate nearest to `name`, if it is near enough to be a slip of the pen.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance * 3 <= name.len().max(candidate.len()))
        .min()
        .map(|(_, candidate)| candidate)
}

/// Edit distance by the usual table of one row (Wagner and Fischer, 1974), blind to case.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.to_lowercase(), b.to_lowercase());
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_and_strangers_are_not() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(
            nearest("TOTALS", ["SHARDS", "TOTAL", "PEERS"]),
            Some("TOTAL")
        );
        assert_eq!(nearest("TOTALS", ["totals"]), Some("totals"));
        assert_eq!(nearest("TOTALS", ["SHARDS", "X"]), None);
    }
}
