//! Which word somebody meant.

/// Letters of a word that are looked at: the longest of the list has eight.
pub(super) const LONGEST: usize = 16;

/// Mistakes in one word that are still guessed at.
const MISTAKES: usize = 2;

/// The word of `list` with the fewest mistakes to `word`; of several, one with the same first letter.
pub(super) fn nearest(word: &str, list: &[&'static str]) -> Option<&'static str> {
    let typed: Vec<char> = word.chars().take(LONGEST).collect();
    let rank =
        |other: &&'static str| (mistakes(&typed, other), other.chars().next() != typed.first().copied());
    let best = list.iter().copied().min_by_key(rank)?;
    (mistakes(&typed, best) <= MISTAKES).then_some(best)
}

/// Letters added, left out, changed, or swapped with their neighbour (optimal string alignment distance).
fn mistakes(typed: &[char], word: &str) -> usize {
    let word: Vec<char> = word.chars().take(LONGEST).collect();
    // Row by row; only the last two are looked at again.
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=word.len()).collect();
    for (row, letter) in typed.iter().enumerate() {
        let mut next = Vec::with_capacity(word.len() + 1);
        next.push(row + 1);
        for (column, other) in word.iter().enumerate() {
            let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX / 2);
            let changed = at(&last, column) + usize::from(letter != other);
            let mut least = changed.min(at(&last, column + 1) + 1).min(at(&next, column) + 1);
            let swapped = row > 0
                && column > 0
                && typed.get(row - 1) == Some(other)
                && word.get(column - 1) == Some(letter);
            if swapped {
                least = least.min(at(&before, column - 1) + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut last, next);
    }
    last.last().copied().unwrap_or(typed.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(typed: &str, word: &str) -> usize {
        mistakes(&typed.chars().collect::<Vec<_>>(), word)
    }

    #[test]
    fn mistakes_are_counted_as_people_make_them() {
        for (typed, word, mistakes) in [
            ("apple", "apple", 0),
            ("appel", "apple", 1),
            ("aple", "apple", 1),
            ("applle", "apple", 1),
            ("apply", "apple", 1),
            ("", "apple", 5),
            ("paple", "apple", 1),
            ("zebra", "apple", 5),
        ] {
            assert_eq!(count(typed, word), mistakes, "{typed} for {word}");
        }
    }

    #[test]
    fn the_nearest_word_wins_and_far_ones_do_not() {
        let list = ["able", "apple", "maple", "zoo"];
        assert_eq!(nearest("appel", &list), Some("apple"));
        assert_eq!(nearest("zo", &list), Some("zoo"));
        assert_eq!(nearest("xylophone", &list), None);
        assert_eq!(nearest(&"x".repeat(10_000), &list), None, "and it takes no time");
    }
}
