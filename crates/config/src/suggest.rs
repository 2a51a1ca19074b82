//! "Did you mean": the known name nearest to a misspelt one.

/// The candidate nearest to `word`, if it is near enough to be meant: at most a third of its letters edited, rounded up, and
/// not all of them (two swapped letters are two edits); or the same letters in another order.
pub(super) fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|&(edits, candidate)| {
            let letters = candidate.chars().count();
            let near = edits <= letters.div_ceil(3) && edits < letters.max(1);
            near || sorted(word) == sorted(candidate)
        })
        .min_by_key(|&(edits, _)| edits)
        .map(|(_, candidate)| candidate)
}

/// ` (did you mean "…"?)`, or nothing.
pub(super) fn hint<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    closest(word, candidates).map_or_else(String::new, |name| format!(" (did you mean {name:?}?)"))
}

fn sorted(word: &str) -> Vec<char> {
    let mut letters: Vec<char> = word.chars().collect();
    letters.sort_unstable();
    letters
}

/// The Levenshtein distance in characters, computed row by row.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, from_char) in from.chars().enumerate() {
        let mut diagonal = index;
        let mut left = index + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, &to_char) in row.iter_mut().skip(1).zip(&to) {
            let edits = (diagonal + usize::from(from_char != to_char)).min(left + 1).min(*cell + 1);
            diagonal = *cell;
            *cell = edits;
            left = edits;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        for (from, to, edits) in
            [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("lectur", "lecture", 1)]
        {
            assert_eq!(distance(from, to), edits, "{from} {to}");
        }
    }

    #[test]
    fn only_near_names_are_suggested() {
        assert_eq!(closest("lectur", ["hall", "lecture", "lectern"]), Some("lecture"));
        assert_eq!(closest("ulr", ["name", "url"]), Some("url"));
        assert_eq!(closest("x", ["hall", "ab", "a"]), None);
        assert_eq!(hint("widht", ["width", "height"]), " (did you mean \"width\"?)");
        assert_eq!(hint("", ["width", "height"]), "");
    }
}
